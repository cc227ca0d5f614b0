"""Measurements. Not a test suite: what must hold is tested, what should be fast is measured here."""
