"""What every request passes before a route sees it, and how an error is answered."""
