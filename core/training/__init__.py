"""Jobs that train, evaluate and analyse: what is asked of them, and what they tell and leave."""
