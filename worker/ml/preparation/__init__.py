"""What happens to one input of a dataset, and how a shard of them is kept. Knows nothing of plans, queues or stores."""
