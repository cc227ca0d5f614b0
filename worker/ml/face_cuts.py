"""How a face is cut out of a picture: whole, in a square around it, or turned so that its eyes are level."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from worker.ml.face_finder import GROUPS, Box, Points
from worker.ml.images import Rgb, resized

MARGIN = 0.3  # of the box's side, kept on each side of it
EYES_AT = (
    (0.35, 0.4),
    (0.65, 0.4),
)  # of the picture's side, x then y: where `aligned` puts the middles of the eyes


@dataclass(frozen=True)
class Cut:
    """A picture that was cut out, and how its pixels relate to the original's.

    Attributes:
        rgb: uint8 `[size, size, 3]`.
        to_cut: float64 `[2, 3]`: `to_cut @ (x, y, 1)` is where a point of the original lies in the cut.
    """

    rgb: Rgb
    to_cut: npt.NDArray[np.float64]

    def points(self, points: Points) -> Points:
        """Points of the original in pixels of the cut. float32 `[N, 2]` -> `[N, 2]`."""
        return (points @ self.to_cut[:, :2].T + self.to_cut[:, 2]).astype(np.float32)


def whole(rgb: Rgb, size: int) -> Cut:
    """The whole picture uint8 `[H, W, 3]`, squeezed into a square where it is none."""
    height, width = rgb.shape[:2]
    x, y = size / width, size / height
    # Centres of pixels and not their corners have whole coordinates.
    scale = np.array([[x, 0, x / 2 - 0.5], [0, y, y / 2 - 0.5]])
    return Cut(resized(rgb, size, size), scale)


def face_square(rgb: Rgb, box: Box, size: int) -> Cut:
    """A square around a face: the longer side of its box and `MARGIN` on every side; edges are drawn out beyond.

    Args:
        rgb: uint8 `[H, W, 3]`.
        box: in its pixels.
        size: side of the cut in pixels.
    """
    side = max(box.right - box.left, box.bottom - box.top) * (1 + 2 * MARGIN)
    x, y = box.centre
    scale = size / side
    turn = np.array([[scale, 0, size / 2 - scale * x], [0, scale, size / 2 - scale * y]])
    return _cut(rgb, _from_corners(turn), size)


def aligned(rgb: Rgb, points: Points, size: int) -> Cut:
    """A face turned, moved and scaled, but not sheared, so that its eyes are level and at `EYES_AT`.

    Args:
        points: float32 `[68, 2]`.
    """
    places = np.asarray(EYES_AT) * size
    eyes = np.stack([points[list(GROUPS[eye])].mean(axis=0) for eye in ("left_eye", "right_eye")])
    # As complex numbers a similarity is z -> a·z + b, and two points settle it.
    here, there = (value[:, 0] + 1j * value[:, 1] for value in (eyes.astype(np.float64), places))
    apart = here[1] - here[0]
    if abs(apart) < 1:
        apart = complex(1.0)  # both eyes on one spot: no picture of a face, and nothing to divide by
    a = (there[1] - there[0]) / apart
    b = there.mean() - a * here.mean()
    return _cut(rgb, np.array([[a.real, -a.imag, b.real], [a.imag, a.real, b.imag]]), size)


def _from_corners(turn: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """A map of corners' coordinates, as the same map of the coordinates of pixels' centres."""
    half = np.full(2, 0.5)
    moved = turn.copy()
    moved[:, 2] += turn[:, :2] @ half - half
    return moved


def _cut(rgb: Rgb, to_cut: npt.NDArray[np.float64], size: int) -> Cut:
    """Resample what the map shows, antialiased; the picture's edges are drawn out where it ends."""
    linear = to_cut[:, :2]
    back = np.linalg.inv(linear)
    corners = np.array([[0, 0], [size, 0], [0, size], [size, size]]) - 0.5
    seen = (corners - to_cut[:, 2]) @ back.T
    left, top = np.floor(seen.min(axis=0)).astype(int) - 2
    right, bottom = np.ceil(seen.max(axis=0)).astype(int) + 3
    rows = np.clip(np.arange(top, bottom), 0, rgb.shape[0] - 1)
    columns = np.clip(np.arange(left, right), 0, rgb.shape[1] - 1)
    part = rgb[rows[:, None], columns]
    # Turning only interpolates; what is to become smaller is made smaller before.
    scale = min(1.0, float(np.sqrt(abs(np.linalg.det(linear)))))
    width, height = (max(1, round(length * scale)) for length in (part.shape[1], part.shape[0]))
    x, y = part.shape[1] / width, part.shape[0] / height
    small = Image.fromarray(resized(part, width, height))
    # From a place in the cut to the original, into the part, into the smaller part; Pillow counts from corners.
    offset = 0.5 - np.array([left, top]) - back @ (to_cut[:, 2] + 0.5)
    matrix = np.column_stack([back, offset]) / np.array([[x], [y]])
    turned = small.transform(
        (size, size), Image.Transform.AFFINE, tuple(matrix.reshape(-1)), Image.Resampling.BICUBIC
    )
    return Cut(np.asarray(turned), to_cut)
