"""Who people are, what they may do, how much they may take, and what they changed."""
