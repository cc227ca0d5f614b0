"""Inception-v3 up to its last pool: 2,048 features, in which FID and KID are usually measured.

Szegedy et al., arXiv 1512.00567, in the variant that published FIDs use: averages within blocks do not count the
padding, and the last block pools by maxima. Parts have the names of torchvision, which the port of the TensorFlow
weights (`pytorch-fid`) kept, so that its file can be read. Weights are not ours to ship, see docs/metrics.md.
"""

from __future__ import annotations

from collections import OrderedDict

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn import functional as F

FEATURES = 2048
SIDE = 299
_AT_ONCE = 16
_Size = int | tuple[int, int]


class _Conv(nn.Module):
    def __init__(self, before: int, after: int, size: _Size, stride: int = 1, padding: _Size = 0) -> None:
        super().__init__()
        self.conv = nn.Conv2d(before, after, size, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(after, eps=0.001)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return F.relu(self.bn(self.conv(values)))


class _Branches(nn.Module):
    """Rows of convolutions beside each other, named as in torchvision, and a pool with or without one of its own."""

    def __init__(self, rows: list[list[tuple[str, _Conv]]], pool: str) -> None:
        super().__init__()
        self.rows = [[name for name, _ in row] for row in rows]
        self.pool = pool
        for row in rows:
            for name, convolution in row:
                self.add_module(name, convolution)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        outputs = []
        for row in self.rows:
            branch = self._pooled(values) if row == ["branch_pool"] else values
            for name in row:
                # A fork: the last two convolutions of a row that end in _a and _b both hear the one before.
                if name.endswith("b") and name[:-1] + "a" in row:
                    continue
                if name.endswith("a") and name[:-1] + "b" in row:
                    branch = torch.cat(
                        [self.get_submodule(name)(branch), self.get_submodule(name[:-1] + "b")(branch)], 1
                    )
                else:
                    branch = self.get_submodule(name)(branch)
            outputs.append(branch)
        if self.pool == "reduce":
            outputs.append(F.max_pool2d(values, 3, 2))
        return torch.cat(outputs, 1)

    def _pooled(self, values: torch.Tensor) -> torch.Tensor:
        if self.pool == "max":
            return F.max_pool2d(values, 3, 1, 1)
        return F.avg_pool2d(values, 3, 1, 1, count_include_pad=False)


def _block_a(before: int, pool: int) -> _Branches:
    return _Branches(
        [
            [("branch1x1", _Conv(before, 64, 1))],
            [("branch5x5_1", _Conv(before, 48, 1)), ("branch5x5_2", _Conv(48, 64, 5, padding=2))],
            [
                ("branch3x3dbl_1", _Conv(before, 64, 1)),
                ("branch3x3dbl_2", _Conv(64, 96, 3, padding=1)),
                ("branch3x3dbl_3", _Conv(96, 96, 3, padding=1)),
            ],
            [("branch_pool", _Conv(before, pool, 1))],
        ],
        "average",
    )


def _block_b() -> _Branches:
    return _Branches(
        [
            [("branch3x3", _Conv(288, 384, 3, 2))],
            [
                ("branch3x3dbl_1", _Conv(288, 64, 1)),
                ("branch3x3dbl_2", _Conv(64, 96, 3, padding=1)),
                ("branch3x3dbl_3", _Conv(96, 96, 3, 2)),
            ],
        ],
        "reduce",
    )


def _block_c(inside: int) -> _Branches:
    wide, tall = {"size": (1, 7), "padding": (0, 3)}, {"size": (7, 1), "padding": (3, 0)}
    return _Branches(
        [
            [("branch1x1", _Conv(768, 192, 1))],
            [
                ("branch7x7_1", _Conv(768, inside, 1)),
                ("branch7x7_2", _Conv(inside, inside, **wide)),  # type: ignore[arg-type]
                ("branch7x7_3", _Conv(inside, 192, **tall)),  # type: ignore[arg-type]
            ],
            [
                ("branch7x7dbl_1", _Conv(768, inside, 1)),
                ("branch7x7dbl_2", _Conv(inside, inside, **tall)),  # type: ignore[arg-type]
                ("branch7x7dbl_3", _Conv(inside, inside, **wide)),  # type: ignore[arg-type]
                ("branch7x7dbl_4", _Conv(inside, inside, **tall)),  # type: ignore[arg-type]
                ("branch7x7dbl_5", _Conv(inside, 192, **wide)),  # type: ignore[arg-type]
            ],
            [("branch_pool", _Conv(768, 192, 1))],
        ],
        "average",
    )


def _block_d() -> _Branches:
    return _Branches(
        [
            [("branch3x3_1", _Conv(768, 192, 1)), ("branch3x3_2", _Conv(192, 320, 3, 2))],
            [
                ("branch7x7x3_1", _Conv(768, 192, 1)),
                ("branch7x7x3_2", _Conv(192, 192, (1, 7), padding=(0, 3))),
                ("branch7x7x3_3", _Conv(192, 192, (7, 1), padding=(3, 0))),
                ("branch7x7x3_4", _Conv(192, 192, 3, 2)),
            ],
        ],
        "reduce",
    )


def _block_e(before: int, pool: str) -> _Branches:
    return _Branches(
        [
            [("branch1x1", _Conv(before, 320, 1))],
            [
                ("branch3x3_1", _Conv(before, 384, 1)),
                ("branch3x3_2a", _Conv(384, 384, (1, 3), padding=(0, 1))),
                ("branch3x3_2b", _Conv(384, 384, (3, 1), padding=(1, 0))),
            ],
            [
                ("branch3x3dbl_1", _Conv(before, 448, 1)),
                ("branch3x3dbl_2", _Conv(448, 384, 3, padding=1)),
                ("branch3x3dbl_3a", _Conv(384, 384, (1, 3), padding=(0, 1))),
                ("branch3x3dbl_3b", _Conv(384, 384, (3, 1), padding=(1, 0))),
            ],
            [("branch_pool", _Conv(before, 192, 1))],
        ],
        pool,
    )


class Inception(nn.Sequential):
    """Pictures `[B, 3, 299, 299]`, RGB from -1 to 1 -> features `[B, 2048]`. 21.8 million parameters."""

    def __init__(self) -> None:
        super().__init__(
            OrderedDict(
                [
                    ("Conv2d_1a_3x3", _Conv(3, 32, 3, 2)),
                    ("Conv2d_2a_3x3", _Conv(32, 32, 3)),
                    ("Conv2d_2b_3x3", _Conv(32, 64, 3, padding=1)),
                    ("pool_1", nn.MaxPool2d(3, 2)),
                    ("Conv2d_3b_1x1", _Conv(64, 80, 1)),
                    ("Conv2d_4a_3x3", _Conv(80, 192, 3)),
                    ("pool_2", nn.MaxPool2d(3, 2)),
                    ("Mixed_5b", _block_a(192, 32)),
                    ("Mixed_5c", _block_a(256, 64)),
                    ("Mixed_5d", _block_a(288, 64)),
                    ("Mixed_6a", _block_b()),
                    ("Mixed_6b", _block_c(128)),
                    ("Mixed_6c", _block_c(160)),
                    ("Mixed_6d", _block_c(160)),
                    ("Mixed_6e", _block_c(192)),
                    ("Mixed_7a", _block_d()),
                    ("Mixed_7b", _block_e(1280, "average")),
                    ("Mixed_7c", _block_e(2048, "max")),
                    ("pool_3", nn.AdaptiveAvgPool2d(1)),
                    ("flat", nn.Flatten()),
                ]
            )
        )
        self.eval().requires_grad_(False)

    @torch.inference_mode()
    def features(self, pictures: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Of pictures uint8 RGB `[N, H, W, 3]`: resized bilinearly without smoothing, as `pytorch-fid` does."""
        device = next(self.parameters()).device
        parts = [np.empty((0, FEATURES), dtype=np.float32)]
        for start in range(0, len(pictures), _AT_ONCE):
            some = torch.from_numpy(np.ascontiguousarray(pictures[start : start + _AT_ONCE])).to(device)
            values = some.permute(0, 3, 1, 2).float() / 255
            values = F.interpolate(values, (SIDE, SIDE), mode="bilinear", align_corners=False)
            parts.append(self(2 * values - 1).float().cpu().numpy())
        return np.concatenate(parts)
