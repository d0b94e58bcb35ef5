"""The predecessor's API, for its clients as they are."""
