"""Measures of faces and voices, one file each; docs/metrics.md lists them all."""
