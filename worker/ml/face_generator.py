"""The face generator: from a point in face space to a 224x224 picture.

A morphable face (Vetter and Poggio, 1997). It blends three things, each a mean plus directions weighted by the latent:
a texture, a displacement field that puts eyes, nose and mouth in their places, and an outline. Blended pictures of
heads are hazy, because hair here and background there add up to neither; so the outline is kept as a distance to the
edge (a level set, Leventon et al., 2000), which blends into another crisp outline. What blending still takes away, some
local contrast, is given back by a fixed filter.

Where the 68 landmarks lie is a fourth thing of the kind, a mean plus directions (an active shape, Cootes et al., 1995):
nothing has to be looked for in what was drawn.

It is linear in the latent up to the last steps, so it cannot run away: a voice unlike any it has met gives a plainer
face, not a broken one. Convolutional generators trained on the same thousand faces were tried and did break
(docs/model.md).
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from worker.ml.face_warp import warp

ENLARGE = 2  # side of the picture over side of the texture
OUTLINE_SOFTNESS = 0.8  # pixels of the texture over which hair fades into the white background
TOP_MARGIN = 2.5  # pixels of the texture
FARTHEST = 2.5  # a latent's numbers are held within so many standard deviations
# Local contrast given back: blur in pixels of the texture, and how much of what it removes is added again.
CLARITY = ((1.0, 0.6), (4.0, 0.35))
LANDMARKS = 68  # the points of iBUG's scheme


class FaceGenerator(nn.Module):
    """Latent `[B, K]` -> faces `[B, 3, image_size, image_size]`, RGB, 0 to 1.

    Args:
        latent: length K of the latent.
        texture_size: side of texture and outline in pixels; the picture is twice that.
        field_grid: control points of the displacement field along one side.
        landmarks: how many points of the face are known; 0 in models from before there were any.
    """

    def __init__(self, latent: int, texture_size: int, field_grid: int, landmarks: int = 0) -> None:
        super().__init__()
        self.texture_size, self.field_grid = texture_size, field_grid
        self.image_size = ENLARGE * texture_size
        lengths = {"texture": 3 * texture_size**2, "outline": texture_size**2, "field": 2 * field_grid**2}
        if landmarks:
            lengths["landmarks"] = 2 * landmarks
        for name, length in lengths.items():
            # Buffers and not parameters: found by principal component analysis, never by gradient.
            self.register_buffer(f"{name}_mean", torch.zeros(length))
            self.register_buffer(f"{name}_directions", torch.zeros(latent, length))

    def forward(self, latent: torch.Tensor) -> torch.Tensor:
        latent = held_within(latent)
        size = self.texture_size
        texture = clearer(self._blend("texture", latent).view(-1, 3, size, size))
        outline = self._blend("outline", latent).view(-1, 1, size, size)
        field = self._blend("field", latent).view(-1, 2, self.field_grid, self.field_grid)
        both = torch.cat([texture, outline], dim=1)
        both = F.interpolate(both, scale_factor=float(ENLARGE), mode="bicubic", align_corners=False)
        both = warp(both, field)
        # Hair ends below the upper edge, whatever the blend says: a distance cannot be blended beyond the picture.
        rows = torch.arange(self.image_size, device=both.device).view(1, 1, -1, 1)
        outline = torch.minimum(both[:, 3:], rows / ENLARGE - TOP_MARGIN)
        covered = torch.sigmoid(outline / OUTLINE_SOFTNESS)
        return both[:, :3].clamp(0, 1) * covered + (1 - covered)

    def landmarks(self, latent: torch.Tensor) -> torch.Tensor | None:
        """Where the landmarks of faces lie. `[B, K]` -> `[B, landmarks, 2]`, x then y in pixels of the picture.

        None where nobody found them: in models from before there were any, and where they were made without dlib.
        """
        if not self._has_landmarks():
            return None
        places = self._blend("landmarks", held_within(latent)).view(len(latent), -1, 2)
        return (places + 1) * (self.image_size / 2) - 0.5  # whole numbers are the middles of pixels

    def _has_landmarks(self) -> bool:
        mean = dict(self.named_buffers(recurse=False)).get("landmarks_mean")
        return mean is not None and bool(mean.any())

    def _blend(self, name: str, latent: torch.Tensor) -> torch.Tensor:
        return self.get_buffer(f"{name}_mean") + latent @ self.get_buffer(f"{name}_directions")


def held_within(latent: torch.Tensor) -> torch.Tensor:
    """A latent `[B, K]` whose numbers are not too far out to be drawn: tanh keeps the middle of the range as it is."""
    return FARTHEST * torch.tanh(latent / FARTHEST)


def clearer(texture: torch.Tensor) -> torch.Tensor:
    """Give local contrast back. `[B, 3, S, S]` -> the same shape."""
    answer = texture
    for radius, amount in CLARITY:
        answer = answer + amount * (texture - _blur(texture, radius))
    return answer


def _blur(pictures: torch.Tensor, radius: float) -> torch.Tensor:
    """Gaussian blur with a standard deviation in pixels, `[B, 3, S, S]`."""
    reach = int(3 * radius)
    taps = torch.exp(-((torch.arange(-reach, reach + 1, device=pictures.device) / radius) ** 2) / 2)
    taps = (taps / taps.sum()).expand(3, 1, -1)
    wide = F.pad(pictures, (reach, reach, 0, 0), mode="replicate")
    tall = F.pad(F.conv2d(wide, taps[:, :, None, :], groups=3), (0, 0, reach, reach), mode="replicate")
    return F.conv2d(tall, taps[:, :, :, None], groups=3)
