"""Files made to hurt whoever opens them, and what becomes of those who do."""
