"""With how many bits products are made, and whether the same sums give the same bits every time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Literal

import torch
from torch.amp.grad_scaler import GradScaler

from worker.ml.training.settings import Precision

Bits = Literal["fp32", "bf16", "fp16"]
_TYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}
_BF16_SINCE = (8, 0)  # the first generation of GPUs that multiplies bfloat16


def choose_bits(precision: Precision, device: torch.device) -> Bits:
    """`auto` is bf16 on GPUs that have it, and fp32 elsewhere. Weights are kept in fp32 whatever is chosen."""
    if precision != "auto":
        return precision
    if device.type == "cuda" and torch.cuda.get_device_capability(device) >= _BF16_SINCE:
        return "bf16"
    return "fp32"


def autocast(bits: Bits, device: torch.device) -> AbstractContextManager[object]:
    """Products within are made with these bits."""
    return torch.autocast(device.type, dtype=_TYPES.get(bits, torch.bfloat16), enabled=bits in _TYPES)


def make_scaler(bits: Bits, device: torch.device) -> GradScaler | None:
    """Keeps small gradients from vanishing in fp16; the others need none."""
    return GradScaler(device.type) if bits == "fp16" else None


@contextmanager
def determinism(on: bool, device: torch.device) -> Iterator[None]:
    """Only algorithms that give the same bits every time; afterwards things are as they were.

    On a CPU an operation without such an algorithm fails. Some that networks need have none on a GPU; there torch warns
    and goes on. `worker.train` sets CUBLAS_WORKSPACE_CONFIG, which must be there before the GPU is first used.
    """
    if not on:
        yield
        return
    was = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    memory: Any = torch.utils.deterministic
    filled = memory.fill_uninitialized_memory
    cudnn = torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic
    torch.use_deterministic_algorithms(True, warn_only=device.type == "cuda")
    # Filling every new tensor with NaN finds mistakes, costs time, and changes no result of code without them.
    memory.fill_uninitialized_memory = False
    torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic = False, True
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(was[0], warn_only=was[1])
        memory.fill_uninitialized_memory = filled
        torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic = cudnn
