"""From a file to frames with their times and the shape of their pixels."""
