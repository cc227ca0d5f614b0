"""Deleting model versions. What is in use stays."""
