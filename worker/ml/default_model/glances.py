"""Look at drawn faces a little differently every time, so that only what holds in every look is learnt.

A recogniser can be pleased by traces that no person and no other recogniser would see. Under another light, turned a
little, in grey, blurred or with noise such traces are gone, and what remains is shape and complexion (compare Athalye
et al., arXiv 1707.07397, who make pictures robust in the same way).
"""

from __future__ import annotations

import torch
from torch.nn import functional as F

_TURN = 0.08  # radians
_SCALE = 0.08
_SHIFT = 3.0  # pixels of the crop
_MIDDLE = (56.0, 70.0)  # of the face in the crop
_LIGHT, _TINT, _LIFT = 0.15, 0.07, 0.06
_GREY_SHARE, _BLURRED_SHARE, _NOISY_SHARE = 0.25, 0.35, 0.25
_NOISE = 0.03
_BLUR = 5  # pixels


def glance(pictures: torch.Tensor, random: torch.Generator) -> torch.Tensor:
    """Change light, colour and sharpness. `[B, 3, S, S]`, 0 to 1, -> the same; gradients pass.

    Args:
        random: on the CPU.
    """
    rows, device = len(pictures), pictures.device

    def between(low: float, high: float, *shape: int) -> torch.Tensor:
        return torch.empty(rows, *shape).uniform_(low, high, generator=random).to(device)

    light = between(1 - _LIGHT, 1 + _LIGHT, 1, 1, 1) * between(1 - _TINT, 1 + _TINT, 3, 1, 1)
    changed = pictures * light + between(-_LIFT, _LIFT, 1, 1, 1)
    grey = changed.mean(dim=1, keepdim=True).expand_as(changed)
    changed = torch.where(between(0, 1, 1, 1, 1) < _GREY_SHARE, grey, changed)
    chance = between(0, 1, 1, 1, 1)
    margin = _BLUR // 2
    blurred = F.avg_pool2d(F.pad(changed, [margin] * 4, mode="replicate"), _BLUR, 1)
    noise = torch.randn(pictures.shape, generator=random).to(device) * _NOISE
    changed = torch.where(chance < _BLURRED_SHARE, blurred, changed)
    changed = torch.where(chance > 1 - _NOISY_SHARE, changed + noise, changed)
    return changed.clamp(0, 1)


def shaken(place: torch.Tensor, count: int, random: torch.Generator) -> torch.Tensor:
    """Places `[count, 2, 3]` around one `[2, 3]`: turned, scaled and shifted a little about the middle of the face."""

    def between(reach: float, *shape: int) -> torch.Tensor:
        return torch.empty(count, *shape).uniform_(-reach, reach, generator=random).to(place)

    turn, scale = between(_TURN), 1 + between(_SCALE)
    sine, cosine = scale * turn.sin(), scale * turn.cos()
    turned = torch.stack([torch.stack([cosine, -sine], dim=1), torch.stack([sine, cosine], dim=1)], dim=1)
    middle = torch.tensor(_MIDDLE).to(place)
    shift = turned @ (place[:, 2] - middle) + middle + between(_SHIFT, 2)
    return torch.cat([turned @ place[:, :2], shift[:, :, None]], dim=2)
