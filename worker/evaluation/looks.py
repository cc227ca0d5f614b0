"""What the judges see in many pictures: whether there is a face, who it is like, how it is read, where its points are.

Two judges of identity that were trained apart: SFace (`face_judges.py`) and the residual network of dlib. A model may
have been trained against one of them, and would please it; the other one then tells.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from worker.face_judges import Judges
from worker.ml.errors import ModelError
from worker.ml.face_finder import FaceFinder
from worker.ml.images import resized
from worker.ml.metrics.landmarks import REFERENCE_SIDE, Points
from worker.ml.metrics.matching import Vectors

IDENTITY_LENGTH = 128
DLIB_FILE = "models/dlib_face_recognition_resnet_model_v1.dat"
Face = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Look:
    """Of one picture; None and rows of zeros where no face was found.

    Attributes:
        found: by YuNet.
        sface, dlib: unit vectors `[128]`; the two detectors need not agree on whether there is a face.
        gender, age: what the reader says of the picture.
        landmarks: 68 points in pixels of a picture of `REFERENCE_SIDE`, or None.
    """

    found: bool
    sface: Vectors
    dlib: Vectors
    gender: str | None
    age: int | None
    landmarks: Points | None


@dataclass(frozen=True)
class Looks:
    """Of N pictures, in arrays: `found` `[N]`, vectors `[N, 128]`, landmarks `[N, 68, 2]` with NaN where unknown."""

    found: npt.NDArray[np.bool_]
    sface: Vectors
    dlib: Vectors
    genders: tuple[str | None, ...]
    ages: tuple[int | None, ...]
    landmarks: Points

    @classmethod
    def of(cls, looks: Iterable[Look]) -> Looks:
        """Put together."""
        all_of = list(looks)
        nowhere = np.full((68, 2), np.nan, dtype=np.float32)
        return cls(
            np.array([one.found for one in all_of], dtype=np.bool_),
            np.stack([one.sface for one in all_of]),
            np.stack([one.dlib for one in all_of]),
            tuple(one.gender for one in all_of),
            tuple(one.age for one in all_of),
            np.stack([nowhere if one.landmarks is None else one.landmarks for one in all_of]),
        )


class Lookers:
    """All judges, loaded once."""

    def __init__(self) -> None:
        """Raises `ModelError` (`model_not_found`) where an extra is not installed."""
        try:
            self._judges = Judges()
        except ImportError as failure:
            raise ModelError(
                "model_not_found",
                "Judging drawn faces needs two extras. Install them: pip install 'voicesketch[evaluate,faces]'.",
            ) from failure
        self._finder = FaceFinder()
        self._dlib, self._recogniser = _dlib_recogniser()

    def look(self, face: Face) -> Look:
        """Look at one picture, uint8 RGB `[H, W, 3]`."""
        face = _large_enough(face)
        verdict = self._judges.judge(face)
        nobody = np.zeros(IDENTITY_LENGTH, dtype=np.float32)
        sface = nobody if verdict.identity is None else verdict.identity.reshape(-1).astype(np.float32)
        face = np.ascontiguousarray(resized(face, REFERENCE_SIDE, REFERENCE_SIDE))
        boxes = self._finder.find(face)
        if not boxes:
            return Look(verdict.found, sface, nobody, verdict.gender, verdict.age, None)
        points = self._finder.landmarks(face, boxes[0])
        return Look(
            verdict.found, sface, self._dlib_vector(face, points), verdict.gender, verdict.age, points
        )

    def identity(self, face: Face) -> Vectors:
        """SFace's unit vector `[128]` alone; where no face is found, zeros, as far from one person as from another."""
        found = self._judges.judge(_large_enough(face)).identity
        if found is None:
            return np.zeros(IDENTITY_LENGTH, dtype=np.float32)
        vector: Vectors = found.reshape(-1).astype(np.float32)
        return vector

    def _dlib_vector(self, face: Face, points: Points) -> Vectors:
        left, top = points.min(axis=0)
        right, bottom = points.max(axis=0)
        around = self._dlib.rectangle(int(left), int(top), int(right), int(bottom))
        shape = self._dlib.full_object_detection(
            around, [self._dlib.point(int(x), int(y)) for x, y in points]
        )
        vector = np.array(self._recogniser.compute_face_descriptor(face, shape), dtype=np.float32)
        unit: Vectors = vector / max(float(np.linalg.norm(vector)), 1e-12)
        return unit


def _large_enough(face: Face) -> Face:
    """Detectors are made for faces of some size."""
    if face.shape[0] >= REFERENCE_SIDE:
        return face
    return np.ascontiguousarray(resized(face, REFERENCE_SIDE, REFERENCE_SIDE))


def _dlib_recogniser() -> tuple[Any, Any]:
    import dlib

    # The package is looked for and not imported: it needs a part of setuptools that no longer exists.
    found = importlib.util.find_spec("face_recognition_models")
    assert found is not None, "the finder of faces has just used it"
    assert found.origin is not None
    return dlib, dlib.face_recognition_model_v1(str(Path(found.origin).parent / DLIB_FILE))
