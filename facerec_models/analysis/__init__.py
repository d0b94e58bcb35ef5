"""What is in a video: heavy, done once, and kept."""
