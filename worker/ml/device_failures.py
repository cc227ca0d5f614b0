"""What an exception of torch says of the machine: too little memory, or a GPU that computes nothing any more.

Neither is the fault of what was being computed. Of memory there may be enough for half as much, or later; after an
error of CUDA itself every call of this process fails, and only another process can use the GPU again.
"""

from __future__ import annotations

import torch

_OUT_OF_MEMORY = (
    "DefaultCPUAllocator",
    "can't allocate memory",
    "bad_alloc",
    "CUDA out of memory",
    "CUDA error: out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
)
_LOST = ("CUDA error:", "CUDA driver error:")


def is_out_of_memory(failure: BaseException) -> bool:
    """Whether there was too little memory, on a GPU or beside the processor."""
    if isinstance(failure, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(failure, RuntimeError) and any(sign in str(failure) for sign in _OUT_OF_MEMORY)


def is_lost_device(failure: BaseException) -> bool:
    """Whether a GPU failed, so that this process can compute nothing on it any more."""
    if is_out_of_memory(failure):
        return False
    if isinstance(failure, torch.AcceleratorError):
        return True
    return isinstance(failure, RuntimeError) and str(failure).startswith(_LOST)
