"""Enrolled pictures, and the models that are fitted to them."""
