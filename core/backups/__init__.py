"""A whole place in one file, and back."""
