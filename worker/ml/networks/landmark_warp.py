"""Moving the landmarks of a face: a picture is bent smoothly so that given points land on given points.

The field of displacements is a polyharmonic spline through the points, found by one linear solve, and the picture is
sampled along it; gradients pass to the picture and to both sets of points. Cole et al. (CVPR 2017, arXiv 1701.04851)
draw faces this way; the spline and its border points are those documented for TensorFlow's sparse image warp. Points
are x then y in pixels, where the centre of the first pixel is 0. Not for autocast: the fields would be too coarse.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

import torch
from torch.nn import functional as F

# The 72 landmarks of Speech-to-face, as numbers of the 68 points of dlib's predictor: chin, eyebrows, nose bridge, nose
# tip, eyes, top lip, bottom lip. The corners of the mouth are in both lips.
DLIB_ORDER = (
    *range(48),
    *(48, 49, 50, 51, 52, 53, 54, 64, 63, 62, 61, 60),
    *(54, 55, 56, 57, 58, 59, 48, 60, 67, 66, 65, 64),
)
POINTS = len(DLIB_ORDER)
DISTINCT_POINTS = 68


def move_landmarks(
    pictures: torch.Tensor,
    sources: torch.Tensor,
    targets: torch.Tensor,
    *,
    order: Literal[1, 2] = 2,
    regularisation: float = 0.0,
    border_points: int = 1,
) -> torch.Tensor:
    """Bend pictures so that what is at the source landmarks comes to lie at the target landmarks.

    Args:
        pictures: `[B, C, H, W]`.
        sources, targets: `[B, 72, 2]` in `DLIB_ORDER`. The two copies of a repeated point are averaged: with both in
            it the system would be singular.
        order, regularisation: of the spline, see `polyharmonic_field`.
        border_points: see `points_on_border`; they stay where they are.
    """
    with torch.autocast(pictures.device.type, enabled=False):
        return move_points(
            pictures,
            distinct_landmarks(sources),
            distinct_landmarks(targets),
            order=order,
            regularisation=regularisation,
            border_points=border_points,
        )


def move_points(
    pictures: torch.Tensor,
    sources: torch.Tensor,
    targets: torch.Tensor,
    *,
    order: Literal[1, 2] = 2,
    regularisation: float = 0.0,
    border_points: int = 0,
) -> torch.Tensor:
    """The same for any points `[B, K, 2]`; targets must be distinct, and are not to be on the border's points."""
    height, width = pictures.shape[-2:]
    # From here on both axes are in units of the longer side: the solve is well conditioned, and the spline knows no
    # units other than that of its regularisation.
    unit = max(height, width, 2) - 1
    targets = targets.to(pictures) / unit
    shifts = sources.to(pictures) / unit - targets
    if border_points:
        border = points_on_border(border_points, height, width).to(pictures) / unit
        border = border.expand(len(pictures), -1, -1)
        targets = torch.cat([targets, border], dim=1)
        shifts = torch.cat([shifts, torch.zeros_like(border)], dim=1)
    pixels = _pixels(height, width, pictures.device).to(pictures)
    field = polyharmonic_field(targets, shifts, pixels / unit, order, regularisation)
    places = (pixels + field * unit) / pixels.new_tensor([max(width - 1, 1), max(height - 1, 1)]) * 2 - 1
    return F.grid_sample(
        pictures,
        places.view(-1, height, width, 2),
        mode="bilinear",
        padding_mode="border",
        align_corners=True,
    )


def polyharmonic_field(
    points: torch.Tensor,
    values: torch.Tensor,
    places: torch.Tensor,
    order: Literal[1, 2] = 2,
    regularisation: float = 0.0,
) -> torch.Tensor:
    """A smooth function through known values: F(x) = Σ w φ(|x - point|) + A·[x; 1].

    The weights are such that F meets the values, and vanish when these are an affine function of the points.

    Args:
        points: `[B, K, 2]`, distinct.
        values: `[B, K, D]` at the points.
        places: `[P, 2]` where F is wanted.
        order: φ(r) = -r for 1, r²·log r (thin plate) for 2; with these signs more regularisation bends less.
        regularisation: added to the diagonal; above zero, F may miss the values, and with ever more of it becomes the
            affine function that fits them best.

    Returns:
        `[B, P, D]`.
    """
    batch, count, _ = points.shape
    # In double precision: landmarks a pixel apart make nearly equal rows.
    exact = points.double()
    kernel = _kernel(exact, exact, order) + regularisation * torch.eye(
        count, dtype=torch.float64, device=points.device
    )
    affine = torch.cat([exact, exact.new_ones(batch, count, 1)], dim=2)  # [B, K, 3]
    top = torch.cat([kernel, affine], dim=2)
    bottom = torch.cat([affine.transpose(1, 2), exact.new_zeros(batch, 3, 3)], dim=2)
    right = torch.cat([values.double(), exact.new_zeros(batch, 3, values.shape[2])], dim=1)
    weights = torch.linalg.solve(torch.cat([top, bottom], dim=1), right).to(points)
    bent = torch.matmul(_kernel(places[None], points, order), weights[:, :count])
    straight = torch.matmul(F.pad(places, (0, 1), value=1.0), weights[:, count:])
    return bent + straight


def points_on_border(per_edge: int, height: int, width: int) -> torch.Tensor:
    """Evenly spaced points on the edges of a picture, `[4·per_edge, 2]`: 1 are the corners, 2 their middles as well."""
    steps = torch.arange(per_edge, dtype=torch.float32) / max(per_edge, 1)
    right, bottom = float(width - 1), float(height - 1)
    along_x, along_y = steps * right, steps * bottom
    edges = [
        torch.stack([along_x, torch.zeros(per_edge)], dim=1),
        torch.stack([torch.full((per_edge,), right), along_y], dim=1),
        torch.stack([right - along_x, torch.full((per_edge,), bottom)], dim=1),
        torch.stack([torch.zeros(per_edge), bottom - along_y], dim=1),
    ]
    return torch.cat(edges)


def distinct_landmarks(landmarks: torch.Tensor) -> torch.Tensor:
    """The 68 points of dlib from the 72 of `DLIB_ORDER`, copies averaged. `[B, 72, 2]` -> `[B, 68, 2]`."""
    return torch.matmul(_averaging(landmarks.device).to(landmarks), landmarks)


def _kernel(places: torch.Tensor, points: torch.Tensor, order: Literal[1, 2]) -> torch.Tensor:
    """`[B or 1, P, 2]`, `[B, K, 2]` -> φ of the distances, `[B, P, K]`."""
    across, down = (places[:, :, None, axis] - points[:, None, :, axis] for axis in (0, 1))
    # The smallest number instead of zero: both the root and the logarithm have no gradient there.
    square = (across.square() + down.square()).clamp_min(torch.finfo(points.dtype).tiny)
    return -square.sqrt() if order == 1 else 0.5 * square * square.log()


# Both made outside inference mode: the first caller may be drawing and the second training.


@lru_cache(maxsize=8)
@torch.inference_mode(False)
def _pixels(height: int, width: int, device: torch.device) -> torch.Tensor:
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return torch.stack([columns, rows], dim=2).flatten(0, 1).to(device, torch.float32)


@lru_cache(maxsize=8)
@torch.inference_mode(False)
def _averaging(device: torch.device) -> torch.Tensor:
    members = torch.tensor(DLIB_ORDER) == torch.arange(DISTINCT_POINTS)[:, None]
    return (members / members.sum(1, keepdim=True)).to(device)
