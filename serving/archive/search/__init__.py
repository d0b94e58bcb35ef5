"""Questions over everything that is stored."""
