"""The critic: a small network that learns to tell real frontal faces from drawn ones.

Its verdict pulls the generator away from soft averages, and its inner features serve as the perceptual distance
between a face and its reconstruction, so that no borrowed image network is needed. It is thrown away after training.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm

FOLD = 4  # 224x224x3 is read as 56x56x48: every detail is seen, at a sixteenth of the cost


class Critic(nn.Module):
    """Faces `[B, 3, 224, 224]` -> a score map `[B, 1, 14, 14]`, a score `[B, 1]` and the features behind them."""

    def __init__(self) -> None:
        super().__init__()
        self.to_28 = spectral_norm(nn.Conv2d(3 * FOLD**2, 64, 4, stride=2, padding=1))
        self.to_14 = spectral_norm(nn.Conv2d(64, 96, 4, stride=2, padding=1))
        self.to_7 = spectral_norm(nn.Conv2d(96, 128, 4, stride=2, padding=1))
        self.patch = spectral_norm(nn.Conv2d(96, 1, 3, padding=1))
        self.whole = spectral_norm(nn.Linear(128 * 7 * 7, 1))

    def forward(self, faces: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, list[torch.Tensor]]:
        features = [F.pixel_unshuffle(faces * 2 - 1, FOLD).contiguous(memory_format=torch.channels_last)]
        for layer in (self.to_28, self.to_14, self.to_7):
            features.append(F.leaky_relu(layer(features[-1]), 0.2))
        return self.patch(features[2]), self.whole(features[3].flatten(1)), features[1:]


def real_and_drawn_loss(real: torch.Tensor, drawn: torch.Tensor) -> torch.Tensor:
    """Hinge loss of the critic on one of its outputs."""
    return F.relu(1 - real).mean() + F.relu(1 + drawn).mean()


def feature_distance(ours: list[torch.Tensor], theirs: list[torch.Tensor]) -> torch.Tensor:
    """Mean absolute difference of features, each level scaled by its own size."""
    levels = [
        (mine - real.detach()).abs().mean() / real.detach().abs().mean()
        for mine, real in zip(ours, theirs, strict=True)
    ]
    return torch.stack(levels).mean()
