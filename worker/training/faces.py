"""Faces of a batch on the device: from bytes to what networks take, resized, embedded, and back to pictures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional as F

from worker.ml.errors import RecipeError
from worker.ml.networks.matching_face_encoder import MatchingFaceEncoder
from worker.ml.networks.pretrained import Encoder
from worker.ml.networks.vgg_face import VGGFace, normalised_faces
from worker.ml.training.task import Picture

Embed = Callable[[torch.Tensor], torch.Tensor]
_DOT = (255, 0, 0)


def as_faces(pictures: torch.Tensor, size: int) -> torch.Tensor:
    """uint8 `[B, H, H, 3]` -> float32 `[B, 3, size, size]`, 0 to 1; averaged where pictures shrink."""
    return resized(pictures.permute(0, 3, 1, 2).float() / 255, size)


def resized(faces: torch.Tensor, size: int) -> torch.Tensor:
    """`[B, 3, H, H]` -> `[B, 3, size, size]`; gradients pass."""
    if faces.shape[-1] == size:
        return faces
    return F.interpolate(faces, (size, size), mode="bilinear", align_corners=False, antialias=True)


def scaled_landmarks(landmarks: torch.Tensor, before: int, after: int) -> torch.Tensor:
    """Landmarks in pixels of a resized picture; the centre of the first pixel is 0 in both."""
    return (landmarks + 0.5) * (after / before) - 0.5


def embedder(encoder: Encoder) -> Embed:
    """What a frozen face encoder makes of faces `[B, 3, S, S]`, 0 to 1, with its own preprocessing; gradients pass.

    Raises:
        RecipeError: a face encoder that takes no tensors.
    """
    if isinstance(encoder, VGGFace):
        config = encoder.config
        return lambda faces: encoder(normalised_faces(resized(faces, config.image_size) * 255, config))
    if isinstance(encoder, MatchingFaceEncoder):
        size = encoder.config.image_size
        return lambda faces: encoder(resized(faces, size) * 2 - 1)
    raise RecipeError(
        f"{encoder.identity.version} cannot judge drawn faces in training; name a vgg_face or a matching_face_encoder."
    )


def as_pictures(faces: torch.Tensor) -> list[Picture]:
    """float `[B, 3, S, S]`, 0 to 1 -> uint8 `[S, S, 3]` each."""
    levels = faces.detach().float().mul(255).round().clamp(0, 255).to(torch.uint8)
    return list(levels.permute(0, 2, 3, 1).cpu().numpy())


def with_dots(picture: Picture, landmarks: npt.NDArray[Any]) -> Picture:
    """A copy with a red dot at each landmark `[points, 2]`, x and y in pixels."""
    dotted = picture.copy()
    side = picture.shape[0]
    reach = max(0, side // 150)
    for x, y in np.rint(landmarks).astype(np.int64):
        dotted[max(0, y - reach) : max(0, y + reach + 1), max(0, x - reach) : max(0, x + reach + 1)] = _DOT
    return dotted
