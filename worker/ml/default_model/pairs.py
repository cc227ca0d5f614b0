"""The paired clips the default model learns from, as arrays in memory.

The folder holds `manifest.csv` with one row per clip (identity, gender, split, and the paths of voice and faces).
Splits are by identity. There are about a thousand clips, so everything is simply loaded.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from worker.ml.audio import decode

Faces = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Pair:
    """One row of the manifest. Gender is an estimate made from the face for AVSpeech people."""

    clip_id: str
    identity: str
    gender: str
    split: str
    source: str
    folder: Path
    voice: str
    face_ori: str
    face_f2f: str
    s2f_exg07: str

    def waveform(self) -> npt.NDArray[np.float32]:
        """The voice, float32 `[T]` at 16 kHz."""
        return decode(self.folder / self.voice).waveform

    def face(self, column: str, size: int | None = None) -> Faces:
        """One of the pictures as uint8 `[S, S, 3]`, reduced to `size` when given."""
        with Image.open(self.folder / getattr(self, column)) as picture:
            rgb = picture.convert("RGB")
            if size is not None:
                rgb = rgb.resize((size, size), Image.Resampling.BOX)
            return np.asarray(rgb).copy()


def read_pairs(folder: Path, split: str | None = None) -> list[Pair]:
    """Read the manifest, in its own order, optionally one split of it."""
    with (folder / "manifest.csv").open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    wanted = [name for name in Pair.__dataclass_fields__ if name != "folder"]
    pairs = [Pair(folder=folder, **{name: row[name] for name in wanted}) for row in rows]
    return [pair for pair in pairs if split in (None, pair.split)]


def stack_faces(pairs: list[Pair], column: str, size: int | None = None) -> Faces:
    """All faces of a column, uint8 `[N, S, S, 3]`."""
    return np.stack([pair.face(column, size) for pair in pairs])
