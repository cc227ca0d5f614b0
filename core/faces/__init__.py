"""Faces as people look at them and take them away."""
