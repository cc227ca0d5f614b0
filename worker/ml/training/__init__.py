"""Training: the engine that drives any task, and what it needs. It knows nothing of queues and of what is trained."""
