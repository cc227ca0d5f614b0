"""Bring eyes, noses and mouths of all training faces to the same places.

The frontal faces are only roughly aligned: averaging them, which is what every linear face space does, gives two pairs
of eyes and blurred lips. Here every face gets a smooth displacement field towards the common mean, found for all faces
together by gradient descent from blurred to sharp pictures, while the mean itself sharpens. Shape (the field) and
texture (the aligned picture) then vary linearly, each on its own: a morphable model in the sense of Vetter and Poggio
(1997), without landmarks.
"""

from __future__ import annotations

import torch
from torch.nn import functional as F

from worker.ml.face_warp import warp

LEVELS = ((4.0, 50), (2.0, 40), (1.0, 40))  # blur in pixels, steps
STEP = 0.004  # in units of half the picture: about a quarter of a pixel
SMOOTHNESS = 20.0
SMALLNESS = 0.3


def align(pictures: torch.Tensor, grid: int) -> torch.Tensor:
    """Find the fields that align faces with their common mean.

    Args:
        pictures: float32 `[N, 3, S, S]`, 0 to 1.
        grid: control points G of a field along one side.

    Returns:
        float32 `[N, 2, G, G]`: `warp(pictures, fields)` are the aligned faces.
    """
    size = pictures.shape[-1]
    features = _local_contrast(pictures)
    place = focus(size)
    fields = torch.zeros(len(pictures), 2, grid, grid, requires_grad=True)
    for radius, steps in LEVELS:
        blurred = blur(features, radius)
        optimiser = torch.optim.Adam([fields], STEP)
        for _ in range(steps):
            aligned = warp(blurred, fields)
            mean = aligned.detach().mean(dim=0, keepdim=True)
            mean = (mean + mean.flip(-1)) / 2  # the mean face is symmetric, whoever was filmed from the left
            # Robust: hair or a beard that the mean lacks must not pull the field.
            error = (
                F.smooth_l1_loss(aligned, mean.expand_as(aligned), reduction="none", beta=0.5) * place
            ).mean()
            bend = fields.diff(dim=-1).square().mean() + fields.diff(dim=-2).square().mean()
            loss = error + SMOOTHNESS * bend + SMALLNESS * fields.square().mean()
            optimiser.zero_grad(set_to_none=True)
            (loss * len(pictures)).backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            with torch.no_grad():
                fields -= fields.mean(dim=0, keepdim=True)  # the mean face must not wander
    return fields.detach()


def _local_contrast(pictures: torch.Tensor) -> torch.Tensor:
    """Brightness relative to the neighbourhood, so that skin tone and light do not matter. -> `[N, 1, S, S]`."""
    grey = pictures.mean(dim=1, keepdim=True)
    level = blur(grey, 8.0)
    contrast = (blur((grey - level).square(), 8.0) + 0.03**2).sqrt()
    return (grey - level) / contrast


def focus(size: int) -> torch.Tensor:
    """How much each place counts: the face, not the hair and shoulders. `[1, 1, S, S]`."""
    axis = (torch.arange(size, dtype=torch.float32) * 2 + 1) / size - 1
    rows, columns = torch.meshgrid(axis, axis, indexing="ij")
    return torch.exp(-(((columns / 0.55) ** 2 + ((rows - 0.08) / 0.65) ** 2) ** 2))[None, None]


def blur(pictures: torch.Tensor, radius: float) -> torch.Tensor:
    """Gaussian blur of `[N, 1, S, S]` with a standard deviation in pixels."""
    reach = int(3 * radius)
    taps = torch.exp(-((torch.arange(-reach, reach + 1) / radius) ** 2) / 2)
    taps = (taps / taps.sum()).to(pictures)
    wide = F.pad(pictures, (reach, reach, 0, 0), mode="replicate")
    tall = F.pad(F.conv2d(wide, taps[None, None, None, :]), (0, 0, reach, reach), mode="replicate")
    return F.conv2d(tall, taps[None, None, :, None])
