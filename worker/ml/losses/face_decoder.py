"""How far a decoder's face is from the photograph whose embedding it was drawn from: landmarks, texture, identity.

The terms and weights are those of Kacper-Pietkun/Speech-to-face (MIT), after Cole et al. (CVPR 2017, arXiv 1701.04851).
Two things are corrected. Its identity term is computed without gradients, so it adds a constant and teaches nothing;
ours passes through the frozen face encoder. Its landmarks are compared in pixels, whose squares drown the texture at
first; ours are compared in units of half the picture.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch.nn import functional as F


@dataclass(frozen=True)
class DecoderWeights:
    """Of the three terms, as in the original's script."""

    landmarks: float = 1.0
    texture: float = 100.0
    identity: float = 100.0


class DecoderTerms(NamedTuple):
    """Scalars, weighted; `total` is the sum of the others."""

    total: torch.Tensor
    landmarks: torch.Tensor
    texture: torch.Tensor
    identity: torch.Tensor


DEFAULT_WEIGHTS = DecoderWeights()


def decoder_loss(
    landmarks: torch.Tensor,
    textures: torch.Tensor,
    true_landmarks: torch.Tensor,
    true_textures: torch.Tensor,
    true_embeddings: torch.Tensor,
    *,
    embed: Callable[[torch.Tensor], torch.Tensor] | None,
    weights: DecoderWeights = DEFAULT_WEIGHTS,
    compat: Literal["original"] | None = None,
) -> DecoderTerms:
    """w1·MSE(landmarks) + w2·MAE(texture) + w3·mean over faces of (1 - cos(true embedding, embed(texture))).

    Args:
        landmarks, true_landmarks: `[B, 2·points]`, x and y in pixels of the picture. They are compared as numbers from
            -1, the first pixel, to 1, the last.
        textures, true_textures: `[B, 3, S, S]`, RGB, 0 to 1.
        true_embeddings: `[B, D]`, of the photographs.
        embed: textures `[B, 3, S, S]` -> embeddings `[B, D]`: a frozen face encoder (parameters without gradients, in
            evaluation mode) with its preprocessing. None leaves the identity term out.
        compat: `original`: landmarks in pixels, and no gradient through the identity term.
    """
    difference = landmarks.float() - true_landmarks.float()
    if compat != "original":
        difference = difference * (2 / (textures.shape[-1] - 1))
    landmark_term = weights.landmarks * difference.square().mean()
    texture_term = weights.texture * F.l1_loss(textures.float(), true_textures.float())
    if embed is None:
        identity_term = torch.zeros_like(texture_term)
    else:
        with torch.set_grad_enabled(torch.is_grad_enabled() and compat != "original"):
            drawn = embed(textures).float()
        # A copy, because embeddings that were made in inference mode cannot take part in a backward pass.
        true = true_embeddings.detach().clone().float()
        identity_term = weights.identity * (1 - F.cosine_similarity(true, drawn, dim=1)).mean()
    return DecoderTerms(
        landmark_term + texture_term + identity_term, landmark_term, texture_term, identity_term
    )
