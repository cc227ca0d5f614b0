"""How long things are kept, how much there is of them, and how they go."""
