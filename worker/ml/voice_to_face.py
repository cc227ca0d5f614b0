"""From a voice embedding to a point in face space.

A voice says a good deal about some traits and next to nothing about most. Plain regression therefore answers with
something close to the mean face, whoever speaks. Two things are done about it, both fitted on real pairs and both
fixed functions of the voice:

- *Lean*: one saturating number says whether the voice reads as feminine or masculine, so that the many voices that
  are clear about it get a clear face and not one halfway.
- *Spread*: everything else is a linear map already stretched so that the faces it draws vary as much as real faces
  do, along the directions in which they really vary (docs/model.md). What the voice cannot
  know is thereby filled in from what the voice is: the same voice gives the same face, similar voices similar faces.
"""

from __future__ import annotations

import torch
from torch import nn


class VoiceToFace(nn.Module):
    """Voice embedding `[B, E]` -> latent `[B, K]`.

    Args:
        embedding: length E of the voice embedding.
        latent: length K of the latent.
    """

    def __init__(self, embedding: int, latent: int) -> None:
        super().__init__()
        self.centre = nn.Parameter(torch.zeros(embedding))
        self.lean = nn.Linear(embedding, 1)
        self.middle = nn.Parameter(torch.zeros(latent))
        self.half_gap = nn.Parameter(torch.zeros(latent))
        self.spread = nn.Linear(embedding, latent, bias=False)

    def forward(self, embedding: torch.Tensor) -> torch.Tensor:
        centred = embedding - self.centre
        lean = torch.tanh(self.lean(centred))  # [B, 1]; -1 reads feminine, +1 masculine
        filled_in: torch.Tensor = self.spread(centred)
        return self.middle + lean * self.half_gap + filled_in
