"""The voice encoder: what a voice sounds like, as 256 numbers, whatever the words.

A GE2E speaker encoder (Wan et al., arXiv 1710.10467; weights published with Resemblyzer under Apache-2.0): a
three-layer LSTM over 1.6 s of mel power, a linear layer, ReLU, unit length; the clip is the mean over its windows.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from worker.ml.voice_features import MEL_BANDS


class VoiceEncoder(nn.Module):
    """Mel windows -> voice embeddings.

    Args:
        hidden: width of the LSTM.
        layers: depth of the LSTM.
        embedding: length of the embedding.
    """

    def __init__(self, hidden: int = 256, layers: int = 3, embedding: int = 256) -> None:
        super().__init__()
        self.lstm = nn.LSTM(MEL_BANDS, hidden, layers, batch_first=True)
        self.linear = nn.Linear(hidden, embedding)

    def forward(self, mels: torch.Tensor) -> torch.Tensor:
        """`[N, frames, MEL_BANDS]` -> `[N, embedding]`, each row non-negative and of unit length."""
        _, (hidden, _) = self.lstm(mels)
        return F.normalize(F.relu(self.linear(hidden[-1])), dim=1)


def mean_per_clip(windows: torch.Tensor, counts: list[int]) -> torch.Tensor:
    """Average the window embeddings of each clip. `[sum(counts), E]` -> `[len(counts), E]`, unit length.

    A plain loop over clips: each clip's sum sees only its own rows, so batch mates cannot change its rounding.
    """
    means = [part.mean(dim=0) for part in torch.split(windows, counts)]
    return F.normalize(torch.stack(means), dim=1)
