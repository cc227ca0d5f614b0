"""Decoding in processes of their own: a file from a stranger meets C libraries here, and nowhere else in a worker.

A `Decoders` lends its processes to whichever thread has a file. Whatever a file does to one of them, crash it, keep it
busy, or fill its memory, costs that file its result and nobody else anything. Nothing in here imports torch.
"""
