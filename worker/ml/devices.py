"""Where networks run, and with how many bits."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Literal

import torch

from worker.ml.errors import ModelError

Precision = Literal["auto", "float32", "bfloat16"]


def choose_device(name: str) -> torch.device:
    """`auto` means a GPU when there is one.

    Raises:
        ModelError: `device_not_found`.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as failure:
        message = f"There is no kind of device called {name!r}. Use auto, cpu or cuda."
        raise ModelError("device_not_found", message) from failure
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ModelError("device_not_found", "There is no CUDA device here. Use --device cpu, or auto.")
    return device


def has_fast_bf16(device: torch.device) -> bool:
    """Whether bfloat16 products are made in hardware: on GPUs since Ampere, on CPUs with AMX or AVX512-BF16."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    if device.type == "cpu":
        return bool(torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported())
    return False


def inference_precision(
    device: torch.device, precision: Precision = "auto"
) -> AbstractContextManager[object]:
    """`auto` makes products in bfloat16 where the hardware does, and in float32 elsewhere. For inference only."""
    on = precision == "bfloat16" or (precision == "auto" and has_fast_bf16(device))
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=on)
