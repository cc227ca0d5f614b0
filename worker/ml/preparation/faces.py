"""What is kept of pictures: the picture itself, whole or cut, and its landmarks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from worker.ml.errors import PictureError
from worker.ml.face_cuts import Cut, aligned, face_square, whole
from worker.ml.face_finder import Box, FaceFinder, seventy_two
from worker.ml.images import Rgb

Array = npt.NDArray[np.float32]

PICTURE, LANDMARKS, EMBEDDING = "picture", "landmarks", "embedding"
LANDMARK_NUMBERS = 144  # 72 points, x then y
ORIGINAL_SIDE = 224  # the side that Speech-to-face resizes every picture to before it looks for a face


@dataclass(frozen=True)
class KeptFace:
    """A picture after preparation.

    Attributes:
        rgb: uint8 `[size, size, 3]`.
        landmarks: float32 `[144]`, x0, y0, x1, … in pixels of `rgb`; None where they were not asked for.
        faces: how many were found; None where nobody looked.
    """

    rgb: Rgb
    landmarks: Array | None
    faces: int | None


@dataclass(frozen=True)
class FaceCutter:
    """How pictures are cut.

    Attributes:
        crop: `none` keeps the whole picture, `face` a square around the face, `aligned` turns its eyes level.
        size: side of the kept picture.
        several: what becomes of a picture with more than one face: `reject`, or the one with the largest box.
        landmarks: whether they are wanted.
        finder: needed for landmarks and for both cuts, and not asked otherwise.
    """

    crop: Literal["none", "face", "aligned"]
    size: int
    several: Literal["reject", "largest"]
    landmarks: bool
    finder: FaceFinder | None

    def keep(self, rgb: Rgb, *, landmarks: bool | None = None) -> KeptFace:
        """Cut one picture. uint8 `[H, W, 3]` of any size.

        Args:
            landmarks: whether this one's landmarks are wanted, where that differs.

        Raises:
            PictureError: `no_face` or `several_faces`.
        """
        landmarks = self.landmarks if landmarks is None else landmarks
        if self.crop == "none":
            return self._keep_whole(rgb, landmarks)
        finder = _needed(self.finder)
        box, count = self._one_face(finder.find(rgb))
        points = finder.landmarks(rgb, box) if landmarks or self.crop == "aligned" else None
        if points is not None and self.crop == "aligned":
            cut = aligned(rgb, points, self.size)
        else:
            cut = face_square(rgb, box, self.size)
        there = _flat(cut, points) if points is not None and landmarks else None
        return KeptFace(cut.rgb, there, count)

    def _keep_whole(self, rgb: Rgb, landmarks: bool) -> KeptFace:
        kept = whole(rgb, self.size).rgb
        if not landmarks:
            return KeptFace(kept, None, None)
        # As the original: the face is looked for in the squeezed picture of 224 pixels, whatever size is kept.
        finder = _needed(self.finder)
        searched = whole(rgb, ORIGINAL_SIDE).rgb
        box, count = self._one_face(finder.find(searched))
        points = finder.landmarks(searched, box)
        return KeptFace(kept, _flat(whole(searched, self.size), points), count)

    def _one_face(self, boxes: list[Box]) -> tuple[Box, int]:
        if not boxes:
            raise PictureError(
                "no_face", "No face was found in the picture. Send one that shows a face from the front."
            )
        if len(boxes) > 1 and self.several == "reject":
            raise PictureError(
                "several_faces",
                f"The picture shows {len(boxes)} faces. Cut out one of them, or let the recipe take the largest.",
            )
        return boxes[0], len(boxes)


def _flat(cut: Cut, points: npt.NDArray[np.float32]) -> Array:
    """72 points in pixels of the cut, of 68 in pixels of the picture. `[68, 2]` -> `[144]`."""
    return seventy_two(cut.points(points)).reshape(-1)


def _needed(finder: FaceFinder | None) -> FaceFinder:
    if finder is None:
        raise ValueError("cutting out faces and landmarks need a finder of faces")
    return finder
