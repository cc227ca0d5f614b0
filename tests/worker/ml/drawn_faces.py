"""Faces for tests that look for faces: drawn by the default model, so that they are nobody's."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest

from worker.ml.audio import decode
from worker.ml.images import Rgb
from worker.ml.model_folders import find_model
from worker.ml.speech_to_face import SpeechToFace

SAMPLES = Path(__file__).parents[3] / "samples"


def needs_dlib() -> None:
    """Skips the module where the extra that finds faces is not installed."""
    pytest.importorskip("dlib", reason="finding faces is in the `faces` extra")


@lru_cache(maxsize=1)
def faces() -> tuple[Rgb, Rgb]:
    """Two faces, uint8 `[224, 224, 3]`, from the front and in the middle."""
    model = SpeechToFace.from_pretrained(find_model("default"), "cpu")
    first, second = model.draw([decode(SAMPLES / f"{name}.flac").waveform for name in ("compass", "kettle")])
    return first, second


def empty_room(height: int = 224, width: int = 224) -> Rgb:
    """Nobody."""
    slope = np.linspace(40, 200, width)[None, :, None] * np.ones((height, 1, 3))
    return slope.astype(np.uint8)
