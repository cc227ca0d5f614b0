"""Where faces are in a picture, and their landmarks.

Detection and the 68 landmarks are dlib's: the detector by histograms of oriented gradients (Dalal and Triggs 2005, as
dlib trained it), and the ensemble of regression trees of Kazemi and Sullivan (2014) with the file that the package
`face-recognition-models` carries. The 72-point order is that of the face_recognition library, which Speech-to-face
trained its face decoder with.
"""

from __future__ import annotations

import importlib.util
import threading
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from worker.ml.errors import ModelError
from worker.ml.images import Rgb, resized

Points = npt.NDArray[np.float32]

SEARCH_SIDE = (
    480  # pictures are searched at this size at most: faces of a twelfth of the longer side are found
)
UPSAMPLE = 1  # doubled once before the search, since the detector's window is 80 pixels wide
LANDMARKS_FILE = "models/shape_predictor_68_face_landmarks.dat"

# The 68 points of the iBUG scheme, group by group. Four of them belong to both lips, so that there are 72.
GROUPS: dict[str, tuple[int, ...]] = {
    "chin": tuple(range(17)),
    "left_eyebrow": tuple(range(17, 22)),
    "right_eyebrow": tuple(range(22, 27)),
    "nose_bridge": tuple(range(27, 31)),
    "nose_tip": tuple(range(31, 36)),
    "left_eye": tuple(range(36, 42)),
    "right_eye": tuple(range(42, 48)),
    "top_lip": (*range(48, 55), 64, 63, 62, 61, 60),
    "bottom_lip": (*range(54, 60), 48, 60, 67, 66, 65, 64),
}
ORDER = tuple(index for group in GROUPS.values() for index in group)


@dataclass(frozen=True)
class Box:
    """Where a face is, in pixels of its picture; the right and bottom edges lie just outside it.

    dlib's boxes reach from the eyebrows to the chin and may stick out of the picture.
    """

    left: float
    top: float
    right: float
    bottom: float

    @property
    def area(self) -> float:
        """In square pixels."""
        return (self.right - self.left) * (self.bottom - self.top)

    @property
    def centre(self) -> tuple[float, float]:
        """Its middle, x and y."""
        return (self.left + self.right) / 2, (self.top + self.bottom) / 2


class FaceFinder:
    """Finds faces and landmarks. Safe to use from several threads; the search releases the interpreter lock."""

    def __init__(self) -> None:
        """Raises `ModelError` (`model_not_found`) where dlib or its landmarks are not installed."""
        self._dlib = _import_dlib()
        self._predictor = _predictor(str(_landmarks_file()))
        self._own = threading.local()  # a detector keeps its pyramid, so every thread has one of its own

    def find(self, rgb: Rgb) -> list[Box]:
        """Every face of uint8 `[H, W, 3]`, the largest first; of equal ones the upper, then the left."""
        height, width = rgb.shape[:2]
        scale = min(1.0, SEARCH_SIDE / max(height, width))
        small = resized(rgb, max(1, round(width * scale)), max(1, round(height * scale)))
        if not hasattr(self._own, "detector"):
            self._own.detector = self._dlib.get_frontal_face_detector()
        x, y = width / small.shape[1], height / small.shape[0]
        boxes = [
            Box(found.left() * x, found.top() * y, (found.right() + 1) * x, (found.bottom() + 1) * y)
            for found in self._own.detector(np.ascontiguousarray(small), UPSAMPLE)
        ]
        return sorted(boxes, key=lambda box: (-box.area, box.top, box.left))

    def landmarks(self, rgb: Rgb, box: Box) -> Points:
        """The 68 points of a face. uint8 `[H, W, 3]` -> float32 `[68, 2]`, x then y in whole pixels."""
        around = self._dlib.rectangle(
            round(box.left), round(box.top), round(box.right) - 1, round(box.bottom) - 1
        )
        shape = self._predictor(np.ascontiguousarray(rgb), around)
        return np.array([(point.x, point.y) for point in shape.parts()], dtype=np.float32)


def seventy_two(points: Points) -> Points:
    """68 points -> the 72 of the face decoder, in its order. float32 `[68, 2]` -> `[72, 2]`."""
    return points[list(ORDER)]


def sixty_eight(points: Points) -> Points:
    """The 72 points of the face decoder -> the 68. `[N, 72, 2]` -> `[N, 68, 2]`; of a point there twice, the mean."""
    same = np.arange(68)[:, None] == np.asarray(ORDER)
    shares = same / same.sum(axis=1, keepdims=True)
    return np.asarray(np.einsum("pq,nqc->npc", shares, points), dtype=np.float32)


def _import_dlib() -> Any:
    try:
        import dlib
    except ImportError as failure:
        raise _not_installed() from failure
    return dlib


def _landmarks_file() -> Path:
    # The package is looked for and not imported: it needs a part of setuptools that no longer exists.
    found = importlib.util.find_spec("face_recognition_models")
    path = Path(found.origin).parent / LANDMARKS_FILE if found and found.origin else None
    if path is None or not path.is_file():
        raise _not_installed()
    return path


@lru_cache(maxsize=1)
def _predictor(path: str) -> Any:
    """100 MB and half a second, so once in a process; it has no state."""
    return _import_dlib().shape_predictor(path)


def _not_installed() -> ModelError:
    return ModelError(
        "model_not_found",
        "Finding faces needs dlib and its landmarks. Install them: pip install 'voicesketch[faces]'.",
    )
