"""What a model is worth, measured on people it has not seen, and what it makes of voice and noise; docs/metrics.md."""
