"""The face generator: from a point in face space to a 224x224 picture.

Two parts. A *morphable face* (Vetter and Poggio, 1997) is linear: texture, and a displacement field that puts eyes,
nose and mouth in their places, both a mean plus directions weighted by the latent. It gets the face right and leaves a
haze where hair and outline differ from person to person, because outlines do not add up. A small convolutional
*retoucher* then clears the haze and draws the hair, steered by the same latent so that both agree.

The texture has half the picture's size and the retoucher works on a quarter of it: the faces it learns from are
hardly sharper than that, and a CPU is many times quicker this way.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from worker.ml.face_warp import warp


class MorphableFace(nn.Module):
    """Latent `[B, K]` -> faces `[B, 3, size, size]`, RGB, about 0 to 1.

    Args:
        latent: length K of the latent.
        size: side of the texture in pixels.
        grid: control points of the displacement field along one side.
    """

    def __init__(self, latent: int, size: int, grid: int) -> None:
        super().__init__()
        self.size, self.grid = size, grid
        # Buffers and not parameters: found by principal component analysis, never by gradient.
        self.register_buffer("texture_mean", torch.zeros(3 * size * size))
        self.register_buffer("texture_directions", torch.zeros(latent, 3 * size * size))
        self.register_buffer("field_mean", torch.zeros(2 * grid * grid))
        self.register_buffer("field_directions", torch.zeros(latent, 2 * grid * grid))

    def forward(self, latent: torch.Tensor) -> torch.Tensor:
        texture = self.get_buffer("texture_mean") + latent @ self.get_buffer("texture_directions")
        field = self.get_buffer("field_mean") + latent @ self.get_buffer("field_directions")
        texture = texture.view(-1, 3, self.size, self.size)
        return warp(texture, field.view(-1, 2, self.grid, self.grid))


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
    """A small U-Net: a hazy face `[B, 3, S, S]` and its latent `[B, K]` -> a clear one `[B, 3, 2S, 2S]`.

    It reads 2x2 pixels and paints 4x4 pixels at once, so that its largest grid is S / 2.

    Args:
        latent: length K of the latent.
        channels: channels on the largest grid and after each halving.
    """

    def __init__(self, latent: int, channels: list[int]) -> None:
        super().__init__()
        steps = list(zip(channels[:-1], channels[1:], strict=True))
        self.enter = nn.Conv2d(3 * 2**2, channels[0], 3, padding=1)
        self.down = nn.ModuleList(nn.Conv2d(wide, deep, 4, stride=2, padding=1) for wide, deep in steps)
        self.middle = Steered(latent, channels[-1], channels[-1])
        self.up = nn.ModuleList(Steered(latent, deep, wide) for wide, deep in reversed(steps))
        self.leave = Steered(latent, channels[0], channels[0])
        self.paint = nn.Conv2d(channels[0], 3 * 4**2, 3, padding=1)
        nn.init.zeros_(self.paint.weight)  # an untrained retoucher changes nothing

    def forward(self, hazy: torch.Tensor, latent: torch.Tensor) -> torch.Tensor:
        # Channels-last is half again as quick on a CPU.
        folded = F.pixel_unshuffle(hazy * 2 - 1, 2).contiguous(memory_format=torch.channels_last)
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
        larger = F.interpolate(hazy, scale_factor=2.0, mode="bilinear", align_corners=False)
        return larger + F.pixel_shuffle(self.paint(grid), 4)


class FaceGenerator(nn.Module):
    """Latent `[B, K]` -> faces `[B, 3, 224, 224]`, RGB, about 0 to 1 (clamped by the caller).

    Args:
        latent: length K of the latent.
        texture_size: side of the morphable face in pixels; the picture is twice that.
        field_grid: control points of its displacement field along one side.
        channels: of the retoucher, on half of `texture_size` and after each halving.
    """

    def __init__(self, latent: int, texture_size: int, field_grid: int, channels: list[int]) -> None:
        super().__init__()
        self.morphable = MorphableFace(latent, texture_size, field_grid)
        self.retoucher = Retoucher(latent, channels)
        self.image_size = 2 * texture_size

    def forward(self, latent: torch.Tensor) -> torch.Tensor:
        return self.retoucher(self.morphable(latent), latent)  # type: ignore[no-any-return]
