"""Recordings on their way in, however they come."""
