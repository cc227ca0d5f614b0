"""Where the landmarks of faces in face space lie: a mean, and how far each direction moves them.

Found once, when face space is: faces are drawn all over it, dlib says where their landmarks lie, and a ridge regression
says how those follow from the latent. From then on they are known for every face without looking at it. That is closer
than carrying the mean face's landmarks along its displacement field: outlines of chins are moved by blending outlines,
and lips by blending textures, of which the field knows nothing.
"""

from __future__ import annotations

import copy

import numpy as np
import torch

from worker.ml.face_finder import FaceFinder
from worker.ml.face_generator import LANDMARKS, FaceGenerator, held_within

FACES_PER_DIRECTION = 5
RIDGE = 10.0  # in squared standard deviations of a latent; a few hundred faces outweigh it
_AT_ONCE = 16
_SEED = 68


def find_landmark_directions(generator: FaceGenerator, finder: FaceFinder) -> dict[str, torch.Tensor] | None:
    """Landmarks as buffers of a `FaceGenerator`; None where dlib finds no face in the mean face.

    A mean `[2 · 68]` and directions `[K, 2 · 68]`, where the picture spans -1 to 1.

    Args:
        generator: with its face space filled in. It is not changed.
    """
    # On the CPU: the same bits wherever it is trained.
    generator = copy.deepcopy(generator).cpu()
    directions = generator.get_buffer("field_directions").shape[0]
    boxes = finder.find(_draw(generator, torch.zeros(1, directions))[0])
    if not boxes:
        return None
    count = FACES_PER_DIRECTION * directions
    latents = torch.randn(count, directions, generator=torch.Generator().manual_seed(_SEED))
    # All faces lie in the same place, so that one search is enough.
    points = np.stack(
        [
            finder.landmarks(face, boxes[0])
            for some in torch.split(latents, _AT_ONCE)
            for face in _draw(generator, some)
        ]
    )
    half = generator.image_size / 2
    places = torch.from_numpy((points + 0.5) / half - 1).double().view(count, 2 * LANDMARKS)
    mean = places.mean(dim=0)
    moved = held_within(latents).double()
    centred = moved - moved.mean(dim=0)
    square = centred.T @ centred + RIDGE * torch.eye(directions, dtype=torch.float64)
    slopes = torch.linalg.solve(square, centred.T @ (places - mean))
    return {
        "landmarks_mean": (mean - moved.mean(dim=0) @ slopes).float(),
        "landmarks_directions": slopes.float(),
    }


@torch.no_grad()
def _draw(generator: FaceGenerator, latents: torch.Tensor) -> np.ndarray:
    faces = generator(latents).clamp(0, 1).mul(255).round().to(torch.uint8)
    return np.ascontiguousarray(faces.permute(0, 2, 3, 1).numpy())
