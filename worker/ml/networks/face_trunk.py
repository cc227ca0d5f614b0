"""The convolutional trunk that the matching face encoder and the discriminator share.

It follows the discriminator of Mescheder et al. (arXiv 1801.04406) with its widths capped at 512 in place of 1024. One
class for both, so that a discriminator can begin with what the face encoder has learned.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from worker.ml.networks.residual import ResidualBlock, activation


def trunk_channels(image_size: int, smallest_size: int, base_channels: int, max_channels: int) -> list[int]:
    """Width at each resolution, from the picture's own down to the smallest.

    Raises:
        ValueError: halving does not lead from one size to the other.
    """
    halvings = (image_size // max(smallest_size, 1)).bit_length() - 1
    if smallest_size < 1 or image_size != smallest_size << max(halvings, 0):
        raise ValueError(
            f"Halving {image_size} does not lead to {smallest_size}: "
            "image_size has to be smallest_size times a power of two"
        )
    return [min(base_channels << level, max_channels) for level in range(halvings + 1)]


class FaceTrunk(nn.Module):
    """Faces `[B, 3, S, S]`, RGB, -1 to 1 -> features `[B, features]`.

    Args:
        image_size: S.
        smallest_size: side at which the features are flattened.
        base_channels, max_channels: width at full size, doubled at every halving up to the cap.
    """

    def __init__(self, image_size: int, smallest_size: int, base_channels: int, max_channels: int) -> None:
        super().__init__()
        widths = trunk_channels(image_size, smallest_size, base_channels, max_channels)
        self.image_size = image_size
        self.features = widths[-1] * smallest_size**2
        self.first = nn.Conv2d(3, widths[0], 3, padding=1)
        self.blocks = nn.ModuleList(
            ResidualBlock(inside, outside)
            for inside, outside in zip([widths[0], *widths[:-1]], widths, strict=True)
        )

    def forward(self, faces: torch.Tensor) -> torch.Tensor:
        if faces.ndim != 4 or faces.shape[1:] != (3, self.image_size, self.image_size):
            size = self.image_size
            raise ValueError(f"Faces of shape [B, 3, {size}, {size}] are needed, not {list(faces.shape)}.")
        values = self.first(faces)
        for level, block in enumerate(self.blocks):
            if level:
                values = F.avg_pool2d(values, 3, stride=2, padding=1)
            values = block(values)
        return activation(values).flatten(1)
