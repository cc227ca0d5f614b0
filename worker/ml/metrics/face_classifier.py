"""ResNet-50 as trained on VGGFace2 (Cao et al., arXiv 1710.08092): who of 8,631 people a face is taken for.

Caffe's layout: the stride lies in the first convolution of a block, the pool rounds up, and values are BGR from 0 to
255 with a mean taken away. SF2F's program takes the mean away in the order R, G, B from a picture that is RGB, so the
network sees its channels exchanged; its published scores are of that kind, and `order="sf2f"` gives them. Weights are
not ours to ship, see docs/metrics.md.
"""

from __future__ import annotations

from typing import Literal, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn import functional as F

from worker.ml.metrics.intervals import Numbers

SIDE = 224
MEAN_RGB = (131.0912, 103.8827, 91.4953)
DEPTHS = (3, 4, 6, 3)
Order = Literal["bgr", "sf2f"]
_AT_ONCE = 16


class _Block(nn.Module):
    def __init__(self, before: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, width, 1, stride, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, 4 * width, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(4 * width)
        self.downsample: nn.Sequential | None = None
        if stride != 1 or before != 4 * width:
            self.downsample = nn.Sequential(
                nn.Conv2d(before, 4 * width, 1, stride, bias=False), nn.BatchNorm2d(4 * width)
            )

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        beside = values if self.downsample is None else self.downsample(values)
        values = F.relu(self.bn1(self.conv1(values)))
        values = F.relu(self.bn2(self.conv2(values)))
        return F.relu(self.bn3(self.conv3(values)) + beside)


class FaceClassifier(nn.Module):
    """Prepared faces `[B, 3, 224, 224]` -> logits `[B, classes]`."""

    def __init__(self, classes: int = 8631, width: int = 64, depths: tuple[int, ...] = DEPTHS) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        before = width
        for number, depth in enumerate(depths, start=1):
            inside = width << (number - 1)
            blocks = []
            for place in range(depth):
                blocks.append(_Block(before, inside, 2 if number > 1 and place == 0 else 1))
                before = 4 * inside
            self.add_module(f"layer{number}", nn.Sequential(*blocks))
        self.layers = len(depths)
        self.fc = nn.Linear(before, classes)
        self.eval().requires_grad_(False)

    def forward(self, faces: torch.Tensor) -> torch.Tensor:
        values = F.max_pool2d(F.relu(self.bn1(self.conv1(faces))), 3, 2, ceil_mode=True)
        for number in range(1, self.layers + 1):
            values = self.get_submodule(f"layer{number}")(values)
        return cast(torch.Tensor, self.fc(values.mean(dim=(2, 3))))

    @torch.inference_mode()
    def log_probabilities(self, faces: npt.NDArray[np.uint8], order: Order = "bgr") -> Numbers:
        """Of faces uint8 RGB `[N, H, W, 3]`: `[N, classes]`, natural logarithms."""
        parts = [np.empty((0, self.fc.out_features))]
        for start in range(0, len(faces), _AT_ONCE):
            prepared = prepared_faces(faces[start : start + _AT_ONCE], order).to(self.fc.weight.device)
            parts.append(F.log_softmax(self(prepared).double(), dim=1).cpu().numpy())
        return np.concatenate(parts)


def prepared_faces(faces: npt.NDArray[np.uint8], order: Order) -> torch.Tensor:
    """Faces uint8 RGB `[N, H, W, 3]` -> float32 `[N, 3, 224, 224]`; `bgr` as the weights want, `sf2f` as SF2F fed."""
    values = torch.from_numpy(np.ascontiguousarray(faces)).permute(0, 3, 1, 2).float()
    values = F.interpolate(values, (SIDE, SIDE), mode="bilinear", align_corners=False)
    values = values - torch.tensor(MEAN_RGB).view(1, 3, 1, 1)
    return values.flip(1) if order == "bgr" else values
