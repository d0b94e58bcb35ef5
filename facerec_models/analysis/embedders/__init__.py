"""One module per face-embedding network."""
