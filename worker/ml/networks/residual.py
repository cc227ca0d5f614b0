"""The residual block that both encoders, the generator and the discriminator are built of, in one or two dimensions.

The block is that of Mescheder et al. (arXiv 1801.04406, as in their published code): activation before convolution, a
branch that counts a tenth, a shortcut without bias where the width changes. The norms that take a condition are ours to
offer beside it; the plain block has none.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import nn
from torch.nn import functional as F

SLOPE = 0.2  # of the leaky ReLU
BRANCH = 0.1  # share of the branch in the sum
_KERNEL = 3

Conditioning = Literal["input", "batch_norm", "adain"]


def activation(values: torch.Tensor) -> torch.Tensor:
    """Leaky ReLU with slope 0.2; any shape."""
    return F.leaky_relu(values, SLOPE)


class ConditionalNorm(nn.Module):
    """Takes mean and spread away and gives back those that a condition asks for.

    `batch_norm`: over the batch (conditional batch norm, Dumoulin et al., arXiv 1610.07629). `adain`: over each picture
    (adaptive instance norm, Huang and Belongie, arXiv 1703.06868).
    """

    def __init__(self, channels: int, condition: int, kind: Conditioning) -> None:
        super().__init__()
        if kind == "batch_norm":
            self.norm: nn.Module = nn.BatchNorm2d(channels, affine=False)
        elif kind == "adain":
            self.norm = nn.InstanceNorm2d(channels)
        else:
            raise ValueError(f"There is no conditional norm called {kind!r}; use batch_norm or adain.")
        self.gain_and_bias = nn.Linear(condition, 2 * channels)

    def forward(self, values: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
        """`[B, C, H, W]` and `[B, condition]` -> `[B, C, H, W]`."""
        gain, bias = self.gain_and_bias(condition)[:, :, None, None].chunk(2, dim=1)
        answer: torch.Tensor = self.norm(values) * (1 + gain) + bias
        return answer


class ResidualBlock(nn.Module):
    """`[B, inside, *]` -> `[B, outside, *]`, with as many dimensions at the star as `dimensions` says.

    Args:
        condition: length of a condition for norms before both activations; 0 for the plain block.
        conditioning: which norms, where there is a condition.
    """

    def __init__(
        self,
        inside: int,
        outside: int,
        *,
        dimensions: Literal[1, 2] = 2,
        condition: int = 0,
        conditioning: Conditioning = "batch_norm",
    ) -> None:
        super().__init__()
        convolution = nn.Conv1d if dimensions == 1 else nn.Conv2d
        hidden = min(inside, outside)
        self.first = convolution(inside, hidden, _KERNEL, padding=_KERNEL // 2)
        self.second = convolution(hidden, outside, _KERNEL, padding=_KERNEL // 2)
        self.shortcut = convolution(inside, outside, 1, bias=False) if inside != outside else nn.Identity()
        self.norms = nn.ModuleList(
            ConditionalNorm(channels, condition, conditioning) for channels in (inside, hidden) if condition
        )

    def forward(self, values: torch.Tensor, condition: torch.Tensor | None = None) -> torch.Tensor:
        branch = values
        for number, convolution in enumerate((self.first, self.second)):
            if self.norms:
                branch = self.norms[number](branch, condition)
            branch = convolution(activation(branch))
        answer: torch.Tensor = self.shortcut(values) + BRANCH * branch
        return answer
