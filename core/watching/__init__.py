"""Whether it all works, and what it tells of itself."""
