"""From pictures to models, and how good they are."""
