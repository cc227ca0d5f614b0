"""Recordings and pictures that tests of networks are given."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile
import torch
from PIL import Image
from torch.nn import functional as F

Samples = npt.NDArray[np.float32]


def voice(seconds: float, seed: int) -> Samples:
    """A tone with overtones that comes and goes, in a little noise; 16 kHz."""
    chance = np.random.default_rng(seed)
    time = np.arange(round(seconds * 16_000)) / 16_000
    pitch = chance.uniform(90, 240)
    tone = sum(np.sin(2 * np.pi * pitch * n * time) / n for n in range(1, 12))
    swell = 0.55 + 0.45 * np.sin(2 * np.pi * 3 * time + chance.uniform(0, 6))
    return np.asarray(0.1 * tone * swell + chance.normal(0, 0.002, len(time)), dtype=np.float32)


def real_recordings(shared_data: Path, count: int) -> list[Samples]:
    """Of the paired clips, 6 s each."""
    files = sorted((shared_data / "paired_clips" / "voice").iterdir())[:count]
    return [soundfile.read(file, dtype="float32")[0] for file in files]


def real_faces(shared_data: Path, count: int) -> list[npt.NDArray[np.uint8]]:
    """Of the paired clips, 224×224."""
    files = sorted((shared_data / "paired_clips" / "face_ori").iterdir())[:count]
    return [np.array(Image.open(file).convert("RGB")) for file in files]


def cosine(ours: torch.Tensor, theirs: torch.Tensor) -> torch.Tensor:
    """Of each row, `[N]`."""
    return F.cosine_similarity(ours, theirs, dim=1)
