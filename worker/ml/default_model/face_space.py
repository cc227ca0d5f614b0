"""Face space: the directions in which faces vary, in shape and in texture.

After alignment (`face_alignment.py`) a face is a texture, an outline (`outlines.py`) and a displacement field. They are
put side by side, scaled so that each matters in a fixed proportion, and principal components are taken. A point in face
space (a latent) holds K numbers with unit spread over the training faces. A linear space has two virtues here: a
linear map from voices can reach it, and 'vary as much as real faces' has an exact meaning. Faces are averaged with
their mirror images first: of light from the left a voice knows nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from worker.ml.default_model.face_alignment import focus
from worker.ml.default_model.outlines import fill_background, outline_distance
from worker.ml.face_warp import inverse_field, warp

# Total variance of each part relative to that of texture: decides which directions are kept.
SHARES = {"texture": 1.0, "outline": 0.5, "field": 0.7}
OUTSIDE_WEIGHT = 0.5  # how much hair, shoulders and background count beside the face itself

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class FaceSpace:
    """The training faces in their own space.

    Attributes:
        buffers: of a `FaceGenerator` that draws latents.
        latents: of the faces `[N, K]`, unit spread.
    """

    buffers: dict[str, torch.Tensor]
    latents: Floats


def find_face_space(pictures: torch.Tensor, fields: torch.Tensor, latent: int) -> FaceSpace:
    """Principal components of aligned faces.

    Args:
        pictures: float32 `[N, 3, S, S]`, 0 to 1.
        fields: float32 `[N, 2, G, G]`, from `align`.
        latent: how many directions K to keep; at most N - 1.
    """
    size = pictures.shape[-1]
    aligned, back = warp(pictures, fields), inverse_field(fields)
    turned = back.flip(-1) * torch.tensor([-1.0, 1.0]).view(1, 2, 1, 1)
    distance = outline_distance(aligned)
    filled = fill_background(aligned, distance)
    weight = OUTSIDE_WEIGHT + (1 - OUTSIDE_WEIGHT) * focus(size)
    parts = {
        "texture": ((filled + filled.flip(-1)) / 2 * weight).flatten(1).numpy(),
        "outline": ((distance + distance.flip(-1)) / 2).flatten(1).numpy(),
        "field": ((back + turned) / 2).flatten(1).numpy(),
    }
    amount = {name: float(part.var(axis=0).sum()) for name, part in parts.items()}
    scale = {name: float(np.sqrt(SHARES[name] * amount["texture"] / amount[name])) for name in parts}
    joined = np.concatenate([part * scale[name] for name, part in parts.items()], axis=1).astype(np.float64)
    mean = joined.mean(axis=0)
    joined -= mean
    # Through the N x N Gram matrix: there are far fewer faces than pixels.
    values, vectors = np.linalg.eigh(joined @ joined.T)
    top = np.argsort(values)[::-1][:latent]
    latents = vectors[:, top] * np.sqrt(len(joined))  # unit spread
    directions = latents.T @ joined / len(joined)  # one standard deviation along each

    buffers: dict[str, torch.Tensor] = {}
    start = 0
    for name, part in parts.items():
        columns = slice(start, start + part.shape[1])
        start += part.shape[1]
        undo = np.full(part.shape[1], 1 / scale[name])
        if name == "texture":
            undo = undo / weight.expand(1, 3, size, size).flatten().numpy()
        buffers[f"{name}_mean"] = torch.tensor(mean[columns] * undo, dtype=torch.float32)
        buffers[f"{name}_directions"] = torch.tensor(directions[:, columns] * undo, dtype=torch.float32)
    return FaceSpace(buffers, latents.astype(np.float32))
