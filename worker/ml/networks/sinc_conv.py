"""A convolution on the waveform whose filters are band-passes and stay band-passes while they are learned.

SincNet (Ravanelli and Bengio, arXiv 1808.00158; geometry of the authors' published code). Of each filter only the lower
cut-off and the bandwidth are learned, two numbers in place of 251, so the first layer learns which bands matter and not
what a band is.

Two things differ from that code. The numbers are kept as fractions of the sampling rate and not in Hz: an optimiser
that moves every number by about its learning rate, as Adam does, would need ten thousand steps for one Hz. And the
lower cut-off is held far enough below half the sampling rate that no filter can lose its band.
"""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional as F

LOWEST_HZ = 50.0  # added to every lower cut-off
NARROWEST_HZ = 50.0  # added to every bandwidth
FIRST_HZ = 30.0  # where the mel scale of the initial cut-offs begins


class SincConv(nn.Module):
    """Waveforms `[B, T]` -> band signals `[B, filters, frames]`, `frames = (T + 2·padding - length) // stride + 1`.

    Args:
        filters: F.
        length: L of a filter in samples; an even one is made odd by one more, so that there is a middle.
        stride: in samples.
        sample_rate: in Hz.

    Attributes:
        low, band: the learned numbers `[F, 1]`, as fractions of the sampling rate; see `cut_offs` for what they mean.
    """

    def __init__(
        self, filters: int = 80, length: int = 251, stride: int = 1, sample_rate: int = 16_000
    ) -> None:
        super().__init__()
        if filters < 1 or length < 3 or stride < 1:
            raise ValueError(
                "A sinc convolution needs a filter, three samples of length and a stride of one."
            )
        self.filters, self.stride, self.sample_rate = filters, stride, sample_rate
        self.length = length + 1 - length % 2
        self.padding = self.length // 2
        top = sample_rate / 2 - (LOWEST_HZ + NARROWEST_HZ)
        mels = torch.linspace(_mel(FIRST_HZ), _mel(top), filters + 1, dtype=torch.float64)
        edges = (700 * (10 ** (mels / 2595) - 1) / sample_rate).float()[:, None]
        self.low = nn.Parameter(edges[:-1].clone())
        self.band = nn.Parameter(edges.diff(dim=0))
        half = self.length // 2
        before = torch.arange(half, dtype=torch.float32)
        self.register_buffer("window", 0.54 - 0.46 * torch.cos(2 * math.pi * before / self.length), False)
        self.register_buffer("times", 2 * math.pi * (before - half), False)

    def cut_offs(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Lower and upper edges of the bands in use, `[F, 1]` each, as fractions of the sampling rate."""
        lowest, narrowest = LOWEST_HZ / self.sample_rate, NARROWEST_HZ / self.sample_rate
        low = (lowest + self.low.abs()).clamp(max=0.5 - narrowest)
        high = (low + narrowest + self.band.abs()).clamp(lowest, 0.5)
        return low, high

    def impulse_responses(self) -> torch.Tensor:
        """The filters `[F, L]`: symmetric, one in the middle."""
        low, high = self.cut_offs()
        times, window = self.get_buffer("times"), self.get_buffer("window")
        # The difference of two low-passes, sin(2·pi·f·n) / (pi·n) each, over its own value in the middle.
        left = (torch.sin(high * times) - torch.sin(low * times)) * 2 / times
        left = left * window / (2 * (high - low))
        return torch.cat([left, torch.ones_like(low), left.flip(1)], dim=1)

    def forward(self, waveforms: torch.Tensor) -> torch.Tensor:
        return F.conv1d(
            waveforms[:, None], self.impulse_responses()[:, None], stride=self.stride, padding=self.padding
        )


def _mel(hertz: float) -> float:
    return 2595 * math.log10(1 + hertz / 700)
