"""LPIPS: how unlike two pictures look, by the features of AlexNet weighed as people judged (arXiv 1801.03924).

Weights are not ours to ship: the network takes those of torchvision's AlexNet and the published linear heads, see
docs/metrics.md. Version 0.1 of the authors' program, on AlexNet.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn import functional as F

from worker.ml.metrics.intervals import Numbers

WIDTHS = (64, 192, 384, 256, 256)
# Of pictures from -1 to 1, as the authors shift and scale them: ImageNet's mean and deviation in that range.
SHIFT = (-0.030, -0.088, -0.188)
SCALE = (0.458, 0.448, 0.450)
_CONVOLUTIONS = (0, 3, 6, 8, 10)  # numbers of the layers in torchvision's `features`
_AT_ONCE = 16
_SMALLEST = 63  # side that leaves a pixel after the last pool


class Lpips(nn.Module):
    """Pictures `[B, 3, H, W]` and `[B, 3, H, W]`, RGB from -1 to 1 -> distances `[B]`, 0 for equal ones."""

    def __init__(self, widths: tuple[int, ...] = WIDTHS) -> None:
        super().__init__()
        sides, strides = (11, 5, 3, 3, 3), (4, 1, 1, 1, 1)
        paddings = (2, 2, 1, 1, 1)
        self.convolutions = nn.ModuleList(
            nn.Conv2d(before, after, side, stride, padding)
            for (before, after), side, stride, padding in zip(
                pairwise((3, *widths)), sides, strides, paddings, strict=True
            )
        )
        self.heads = nn.ModuleList(nn.Conv2d(width, 1, 1, bias=False) for width in widths)
        self.register_buffer("shift", torch.tensor(SHIFT).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("scale", torch.tensor(SCALE).view(1, 3, 1, 1), persistent=False)
        self.eval().requires_grad_(False)

    def forward(self, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        total = torch.zeros(len(first), device=first.device)
        for ours, theirs, head in zip(self._features(first), self._features(second), self.heads, strict=True):
            total = total + head((_unit(ours) - _unit(theirs)) ** 2).mean(dim=(1, 2, 3))
        return total

    def distances(self, first: npt.NDArray[np.uint8], second: npt.NDArray[np.uint8]) -> Numbers:
        """Of each pair of pictures uint8 RGB `[N, H, W, 3]`, sides of at least 63; `[N]`."""
        if min(first.shape[1:3]) < _SMALLEST:
            raise ValueError(f"LPIPS takes pictures of at least {_SMALLEST} pixels a side.")
        device = self.get_buffer("shift").device
        parts = [np.empty(0)]
        with torch.inference_mode():
            for start in range(0, len(first), _AT_ONCE):
                both = [_from_bytes(one[start : start + _AT_ONCE]).to(device) for one in (first, second)]
                parts.append(self(*both).double().cpu().numpy())
        return np.concatenate(parts)

    def _features(self, pictures: torch.Tensor) -> list[torch.Tensor]:
        values = (pictures - self.get_buffer("shift")) / self.get_buffer("scale")
        features = []
        for number, convolution in enumerate(self.convolutions):
            if number in (1, 2):
                values = F.max_pool2d(values, 3, 2)
            values = F.relu(convolution(values))
            features.append(values)
        return features


def published_names(
    alexnet: Mapping[str, torch.Tensor], heads: Mapping[str, torch.Tensor]
) -> dict[str, torch.Tensor]:
    """The tensors of torchvision's AlexNet and of the authors' heads by our names.

    Raises:
        KeyError: one of them is missing.
    """
    tensors = {}
    for ours, theirs in enumerate(_CONVOLUTIONS):
        for kind in ("weight", "bias"):
            tensors[f"convolutions.{ours}.{kind}"] = alexnet[f"features.{theirs}.{kind}"]
        tensors[f"heads.{ours}.weight"] = heads[f"lin{ours}.model.1.weight"]
    return tensors


def _unit(features: torch.Tensor) -> torch.Tensor:
    return features / (features.pow(2).sum(dim=1, keepdim=True).sqrt() + 1e-10)


def _from_bytes(pictures: npt.NDArray[np.uint8]) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(pictures)).permute(0, 3, 1, 2).float() / 127.5 - 1
