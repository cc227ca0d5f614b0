"""Tell head from background in the frontal faces, which all stand before white.

Each face becomes a distance to its outline (positive inside) and a picture whose colours run on beyond the outline, so
that neither knows of the white behind it and both can be blended.
"""

from __future__ import annotations

import torch
from torch.nn import functional as F

from worker.ml.default_model.face_alignment import blur

PAPER_WHITE = 0.16  # a pixel whose darkest channel is closer to white than this is background
REACH = 14  # distances are cut off here, in pixels: what happens far from the edge should not weigh
SPREADS = (1.5, 3.0, 6.0, 12.0, 24.0)  # blurs in pixels by which colours run outwards, nearest first


def outline_distance(pictures: torch.Tensor) -> torch.Tensor:
    """Signed distance to the outline in pixels. `[N, 3, S, S]`, 0 to 1 -> `[N, 1, S, S]`, -REACH to REACH."""
    # Room above: heads nearly touch the upper edge, and must not be taken to go on beyond it.
    pictures = F.pad(pictures, (0, 0, REACH, 0), value=1.0)
    darkness = 1 - pictures.amin(dim=1, keepdim=True)
    inside = (blur(darkness, 0.8) > PAPER_WHITE).float()
    inside = -F.max_pool2d(
        -F.max_pool2d(inside, 5, 1, 2), 5, 1, 2
    )  # close highlights on skin and between locks
    shrunk, grown = inside, 1 - inside
    distance = inside - 0.5
    for step in range(REACH - 1):
        # Alternating between a cross and a square makes the distance octagonal: close enough to round.
        shrunk, grown = _erode(shrunk, step), _erode(grown, step)
        distance = distance + shrunk - grown
    return blur(distance, 1.0)[:, :, REACH:]


def fill_background(pictures: torch.Tensor, distance: torch.Tensor) -> torch.Tensor:
    """Let the colours at the outline run on outwards. `[N, 3, S, S]`, `[N, 1, S, S]` -> `[N, 3, S, S]`."""
    # The outermost pixels are mixed with white already and would bleach what runs outwards.
    trusted = (distance > 3.0).float()
    filled = pictures * trusted
    known = trusted
    for spread in SPREADS:
        weight = blur(trusted, spread)
        colours = torch.cat([blur(pictures[:, i : i + 1] * trusted, spread) for i in range(3)], dim=1)
        share = ((1 - known) * (weight > 0.02).float()).clamp(0, 1)
        filled = filled + share * colours / weight.clamp(min=1e-4)
        known = known + share
    whole = (pictures * trusted).sum((2, 3), keepdim=True) / trusted.sum((2, 3), keepdim=True).clamp(min=1)
    return filled + (1 - known) * whole


def _erode(mask: torch.Tensor, step: int) -> torch.Tensor:
    """One pixel off the edge of a 0/1 mask; what lies beyond the picture counts as more of the same."""
    if step % 2:
        return -F.max_pool2d(-mask, 3, 1, 1)
    flat = -F.max_pool2d(-mask, (1, 3), 1, (0, 1))
    return torch.minimum(flat, -F.max_pool2d(-mask, (3, 1), 1, (1, 0)))
