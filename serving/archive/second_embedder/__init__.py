"""The change to another embedder: prepare, compare, switch."""
