"""Datasets of voices and faces: planned, prepared shard by shard, and grown out of collections."""
