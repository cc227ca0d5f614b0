"""Moving the parts of a face: sampling a picture along a smooth field of displacements.

A field is stored on a coarse grid `[B, 2, G, G]`, x then y, in units where the picture spans -1 to 1, and stretched
bilinearly to the picture: eyes and mouths move as wholes.
"""

from __future__ import annotations

import torch
from torch.nn import functional as F


def identity_grid(size: int) -> torch.Tensor:
    """Where every pixel lies when nothing moves. `[1, size, size, 2]`."""
    axis = (torch.arange(size, dtype=torch.float32) * 2 + 1) / size - 1
    rows, columns = torch.meshgrid(axis, axis, indexing="ij")
    return torch.stack([columns, rows], dim=-1)[None]


def stretch(field: torch.Tensor, size: int) -> torch.Tensor:
    """`[B, 2, G, G]` -> `[B, 2, size, size]`."""
    return F.interpolate(field, size=(size, size), mode="bilinear", align_corners=False)


def warp(pictures: torch.Tensor, field: torch.Tensor) -> torch.Tensor:
    """Pixel x of the answer is pixel x + field(x) of the picture. `[B, C, S, S]`, `[B, 2, G, G]` -> `[B, C, S, S]`."""
    size = pictures.shape[-1]
    grid = identity_grid(size).to(pictures) + stretch(field, size).permute(0, 2, 3, 1)
    return F.grid_sample(pictures, grid, mode="bilinear", padding_mode="border", align_corners=False)


def inverse_field(field: torch.Tensor, rounds: int = 12) -> torch.Tensor:
    """The field that undoes another one, by fixed point: back(x) = -field(x + back(x)). `[B, 2, G, G]` in and out."""
    back = -field
    for _ in range(rounds):
        back = -warp(field, back)
    return back
