"""From a voice embedding to a point in face space, by way of what a face recogniser would see.

A voice says more about how a face *recogniser* would place somebody than about any pixel: what tells faces apart is
what recognisers keep. So the head first says in which direction from the average person the face should lie in a
recogniser's space:

- *Lean*: one saturating number says whether the voice reads as feminine or masculine, so that the many voices that are
  clear about it get a clear face and not one halfway.
- *Rest*: a linear map says everything else. Regression makes short predictions where it is unsure; only their
  direction is kept and all get the same length, so faces differ as much as real ones do, along those lines that voices
  do tell.

A small network then says which latent is drawn as such a face. What recognisers ignore, such as hair, comes from a
second linear map of the voice and from the lean.

How it is fitted: `worker/training/default_model.py`.
"""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional as F

_SHORTEST = 1e-6  # a voice in the very centre has no direction; it gets the average face


class IdentityHead(nn.Module):
    """Voice embedding `[B, E]` -> latent `[B, K]`.

    Args:
        embedding: length E of the voice embedding.
        latent: length K of the latent.
        identity: length I of the recogniser's vectors.
        hidden: width of the small network.
    """

    def __init__(self, embedding: int, latent: int, identity: int, hidden: int) -> None:
        super().__init__()
        # Buffers and not parameters: solved for in one go, never by gradient.
        self.register_buffer("centre", torch.zeros(embedding))
        self.register_buffer("voice_to_lean", torch.zeros(embedding))
        self.register_buffer("lean_to_identity", torch.zeros(identity))
        self.register_buffer("voice_to_identity", torch.zeros(embedding, identity))
        self.register_buffer("rest_length", torch.ones(()))
        self.register_buffer("middle", torch.zeros(latent))
        self.register_buffer("lean_to_latent", torch.zeros(latent))
        self.register_buffer("voice_to_latent", torch.zeros(embedding, latent))
        self.linear = nn.Linear(identity, latent)
        self.inner = nn.Linear(identity, hidden)
        self.outer = nn.Linear(hidden, latent)

    def forward(self, embedding: torch.Tensor) -> torch.Tensor:
        return self.filled_in(embedding) + self.portrayed(self.direction(embedding))

    def lean(self, embedding: torch.Tensor) -> torch.Tensor:
        """How the voice reads, `[B, 1]`: -1 feminine, +1 masculine."""
        return torch.tanh((embedding - self.get_buffer("centre")) @ self.get_buffer("voice_to_lean"))[:, None]

    def direction(self, embedding: torch.Tensor) -> torch.Tensor:
        """Where from the average person the face should lie, for a recogniser: unit vectors `[B, I]`."""
        rest = (embedding - self.get_buffer("centre")) @ self.get_buffer("voice_to_identity")
        rest = F.normalize(rest, dim=1, eps=_SHORTEST) * self.get_buffer("rest_length")
        together = rest + self.lean(embedding) * self.get_buffer("lean_to_identity")
        return F.normalize(together, dim=1, eps=_SHORTEST)

    def filled_in(self, embedding: torch.Tensor) -> torch.Tensor:
        """What of the latent comes from the voice directly, `[B, K]`."""
        rest = (embedding - self.get_buffer("centre")) @ self.get_buffer("voice_to_latent")
        answer: torch.Tensor = (
            self.get_buffer("middle") + self.lean(embedding) * self.get_buffer("lean_to_latent") + rest
        )
        return answer

    def portrayed(self, direction: torch.Tensor) -> torch.Tensor:
        """What of the latent makes the face look like somebody in that direction. `[B, I]` -> `[B, K]`."""
        # A unit vector's numbers are too small for the bend in the network to be felt.
        felt = F.gelu(self.inner(direction * math.sqrt(direction.shape[1])))
        answer: torch.Tensor = self.linear(direction) + self.outer(felt)
        return answer
