"""What a decoding process says of a file, and how far it is believed: the file may have taken the process over."""

from __future__ import annotations

import math
from typing import Any, Literal, TypeGuard

import numpy as np

from worker.inputs import Given

_LONGEST_FORMAT = 40


def tell(given: Given) -> dict[str, Any]:
    """Everything of it but its samples or pixels."""
    return {
        "shape": list(given.data.shape),
        "duration_seconds": given.duration_seconds,
        "sample_rate": given.sample_rate,
        "channels": given.channels,
        "format": given.format,
        "frames": given.frames,
    }


def understand(kind: Literal["voice", "face"], answer: dict[str, Any], most_bytes: int) -> Given | None:
    """The same with room for the samples or pixels, which are still to be read; None where it cannot be true."""
    shape = answer.get("shape")
    if not isinstance(shape, list) or not all(_is_count(side) for side in shape):
        return None
    dtype = np.dtype(np.float32 if kind == "voice" else np.uint8)
    fits = len(shape) == 1 if kind == "voice" else len(shape) == 3 and shape[2] == 3
    if not fits or math.prod(shape) * dtype.itemsize > most_bytes:
        return None
    if kind == "voice":
        seconds, rate, channels = (
            answer.get(name) for name in ("duration_seconds", "sample_rate", "channels")
        )
        if not isinstance(seconds, int | float) or not 0 <= seconds < math.inf:
            return None
        if not _is_count(rate) or not _is_count(channels):
            return None
        return Given(np.empty(tuple(shape), dtype), seconds, kind, sample_rate=rate, channels=channels)
    name, frames = answer.get("format"), answer.get("frames")
    if not isinstance(name, str) or len(name) > _LONGEST_FORMAT or not _is_count(frames):
        return None
    return Given(np.empty(tuple(shape), dtype), None, kind, format=name, frames=frames)


def _is_count(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and 0 < value < 2**40
