"""Commands about what is stored: videos and jobs."""
