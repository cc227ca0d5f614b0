"""What is trained: one file a task, put together from networks, losses and a prepared dataset by a checked spec."""
