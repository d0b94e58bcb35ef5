"""What a project remembers, and every rule about it."""
