"""Routes about model versions and how good they are."""
