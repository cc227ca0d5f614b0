"""Models and media: plain functions of arrays and tensors that know nothing of queues, tables or pages.

This file stays empty of imports on purpose: reading an error code or writing a PNG must not cost loading torch.
"""
