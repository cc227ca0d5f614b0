"""The face generator: from a point in face space to a 224x224 picture.

Two parts. A *morphable face* (Vetter and Poggio, 1997) blends three things, each a mean plus directions weighted by the
latent: a texture, a displacement field that puts eyes, nose and mouth in their places, and an outline. Blended pictures
of heads are hazy, because hair here and background there add up to neither; so the outline is kept as a distance to the
edge (a level set, Leventon et al., 2000), which blends into another crisp outline. A small convolutional *retoucher*
then adds the detail that no blend has, steered by the same latent so that both agree.

The texture has half the picture's size and the retoucher works on a quarter of it: the faces it learns from are
hardly sharper than that, and a CPU is many times quicker this way.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional as F

from worker.ml.face_warp import warp

OUTLINE_SOFTNESS = 1.0  # pixels of the texture over which hair fades into the white background
ENLARGE = 2  # side of the picture over side of the texture
FOLD = 4  # pixels along each side that the retoucher treats as one


class MorphableFace(nn.Module):
    """Latent `[B, K]` -> faces `[B, 3, size, size]`, RGB, about 0 to 1.

    Args:
        latent: length K of the latent.
        size: side of texture and outline in pixels.
        grid: control points of the displacement field along one side.
    """

    def __init__(self, latent: int, size: int, grid: int) -> None:
        super().__init__()
        self.size, self.grid = size, grid
        lengths = {"texture": 3 * size * size, "outline": size * size, "field": 2 * grid * grid}
        for name, length in lengths.items():
            # Buffers and not parameters: found by principal component analysis, never by gradient.
            self.register_buffer(f"{name}_mean", torch.zeros(length))
            self.register_buffer(f"{name}_directions", torch.zeros(latent, length))

    def _blend(self, name: str, latent: torch.Tensor) -> torch.Tensor:
        return self.get_buffer(f"{name}_mean") + latent @ self.get_buffer(f"{name}_directions")

    def forward(self, latent: torch.Tensor, enlarge: int = 1) -> torch.Tensor:
        """Draw at `enlarge` times the texture's size; the outline stays crisp however large."""
        texture = self._blend("texture", latent).view(-1, 3, self.size, self.size)
        outline = self._blend("outline", latent).view(-1, 1, self.size, self.size)
        both = torch.cat([texture, outline], dim=1)
        if enlarge > 1:
            both = F.interpolate(both, scale_factor=float(enlarge), mode="bicubic", align_corners=False)
        both = warp(both, self._blend("field", latent).view(-1, 2, self.grid, self.grid))
        covered = torch.sigmoid(both[:, 3:] / OUTLINE_SOFTNESS)
        return both[:, :3].clamp(0, 1) * covered + (1 - covered)


class Steered(nn.Module):
    """A convolution whose channels the latent scales and shifts (FiLM, Perez et al., arXiv 1709.07871)."""

    def __init__(self, latent: int, inputs: int, outputs: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.steer = nn.Linear(latent, 2 * outputs)

    def forward(self, grid: torch.Tensor, latent: torch.Tensor) -> torch.Tensor:
        """`[B, inputs, S, S]`, `[B, K]` -> `[B, outputs, S, S]`."""
        scale, shift = self.steer(latent)[:, :, None, None].chunk(2, dim=1)
        return F.silu(self.convolution(grid) * (1 + scale) + shift)


class Retoucher(nn.Module):
    """A small U-Net: a blended face `[B, 3, S, S]` and its latent `[B, K]` -> what to add to it, of the same shape.

    It reads and paints 4x4 pixels at once, so that its largest grid is S / 4.

    Args:
        latent: length K of the latent.
        channels: channels on the largest grid and after each halving.
    """

    def __init__(self, latent: int, channels: list[int]) -> None:
        super().__init__()
        steps = list(pairwise(channels))
        self.enter = nn.Conv2d(3 * FOLD**2, channels[0], 3, padding=1)
        self.down = nn.ModuleList(nn.Conv2d(wide, deep, 4, stride=2, padding=1) for wide, deep in steps)
        self.middle = Steered(latent, channels[-1], channels[-1])
        self.up = nn.ModuleList(Steered(latent, deep, wide) for wide, deep in reversed(steps))
        self.leave = Steered(latent, channels[0], channels[0])
        self.paint = nn.Conv2d(channels[0], 3 * FOLD**2, 3, padding=1, bias=False)
        nn.init.zeros_(self.paint.weight)  # an untrained retoucher changes nothing

    def forward(self, blended: torch.Tensor, latent: torch.Tensor) -> torch.Tensor:
        # Channels-last is half again as quick on a CPU.
        folded = F.pixel_unshuffle(blended * 2 - 1, FOLD).contiguous(memory_format=torch.channels_last)
        grid = F.silu(self.enter(folded))
        passed = []
        for layer in self.down:
            passed.append(grid)
            grid = F.silu(layer(grid))
        grid = grid + self.middle(grid, latent)
        for layer in self.up:
            # Convolve on the small grid, then enlarge: a quarter of the work of the other order.
            grid = F.interpolate(layer(grid, latent), scale_factor=2.0, mode="bilinear") + passed.pop()
        grid = grid + self.leave(grid, latent)
        return F.pixel_shuffle(self.paint(grid), FOLD)


class FaceGenerator(nn.Module):
    """Latent `[B, K]` -> faces `[B, 3, 224, 224]`, RGB, about 0 to 1 (clamped by the caller).

    Args:
        latent: length K of the latent.
        texture_size: side of the morphable face in pixels; the picture is twice that.
        field_grid: control points of its displacement field along one side.
        channels: of the retoucher, on a quarter of the picture's size and after each halving.
    """

    def __init__(self, latent: int, texture_size: int, field_grid: int, channels: list[int]) -> None:
        super().__init__()
        self.morphable = MorphableFace(latent, texture_size, field_grid)
        self.retoucher = Retoucher(latent, channels)
        self.image_size = ENLARGE * texture_size

    def forward(self, latent: torch.Tensor) -> torch.Tensor:
        blended: torch.Tensor = self.morphable(latent, ENLARGE)
        detail: torch.Tensor = self.retoucher(blended, latent)
        return blended + detail
