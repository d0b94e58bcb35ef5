"""From pictures to people: the library under FaceRec. It knows nothing of servers, stores or pages."""
