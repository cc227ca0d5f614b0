"""How far the embedding of a voice is from that of the face: as numbers, as a person, and as a drawing.

The three terms are those of Speech2Face (Oh et al., CVPR 2019, arXiv 1905.09773) as Kacper-Pietkun/Speech-to-face (MIT)
has them. There, embeddings are divided by the norm of the whole batch, so that long ones count for more, and the
distillation term is summed over the batch, so that a smaller batch silently weakens it. Here every voice counts the
same and a batch is a mean over its voices; `per_sample` turns the original's coefficients into ours.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch.nn import functional as F

TEMPERATURE = 2.0  # of the distillation
DECODER_UNITS = 2048  # width of the decoder's shared layers
_SHORTEST = 1e-6  # embeddings this short have no direction; dividing by less would blow gradients up


@dataclass(frozen=True)
class VoiceWeights:
    """Of the base, the face encoder's and the face decoder's term."""

    base: float
    face_encoder: float
    face_decoder: float


class VoiceTerms(NamedTuple):
    """Scalars, weighted; `total` is the sum of the others."""

    total: torch.Tensor
    base: torch.Tensor
    face_encoder: torch.Tensor
    face_decoder: torch.Tensor


Script = Literal["ve_conv", "ast"]
SCRIPT_WEIGHTS: dict[Script, VoiceWeights] = {
    "ve_conv": VoiceWeights(0.025, 200.0, 1.0),  # also what Speech2Face uses
    "ast": VoiceWeights(30.0, 2.0, 50.0),
}
SCRIPT_BATCH: dict[Script, int] = {"ve_conv": 4, "ast": 8}  # that the weights above go with


def per_sample(weights: VoiceWeights, batch: int, units: int = DECODER_UNITS) -> VoiceWeights:
    """Weights of the corrected loss that keep the balance the original's have at a batch size.

    Where all embeddings of a batch are equally long, both losses are then equal; `units` is the decoder's width.
    """
    return VoiceWeights(weights.base, weights.face_encoder * batch, weights.face_decoder / units)


def script_weights(
    script: Script, compat: Literal["original"] | None = None, units: int = DECODER_UNITS
) -> VoiceWeights:
    """The weights of the original's training scripts, for the loss of that `compat` and a decoder of that width."""
    weights = SCRIPT_WEIGHTS[script]
    return weights if compat == "original" else per_sample(weights, SCRIPT_BATCH[script], units)


def voice_encoder_loss(
    voices: torch.Tensor,
    faces: torch.Tensor,
    *,
    face_logits: Callable[[torch.Tensor], torch.Tensor],
    decoder_features: Callable[[torch.Tensor], torch.Tensor],
    weights: VoiceWeights,
    compat: Literal["original"] | None = None,
) -> VoiceTerms:
    """Means over the voices p_i and faces v_i of a batch, with h the logits and g the decoder's features:

    w1·|p_i/|p_i| - v_i/|v_i||² + w2·CE(softmax(h(v_i)/2), softmax(h(p_i)/2)) + w3·sum over units of |g(p_i) - g(v_i)|.

    `original`: w1·|P/|P| - V/|V||² with norms of the whole batch + w2·the sum over the batch of CE + w3·the mean over
    batch and units.

    Args:
        voices: predicted embeddings `[B, D]`, with gradients.
        faces: true embeddings `[B, D]`; nothing learns from this side.
        face_logits: h, `[B, D]` -> `[B, classes]`: the last layer of the face encoder, frozen.
        decoder_features: g, `[B, D]` -> `[B, units]`: the shared layers of the face decoder, frozen and in evaluation
            mode.
    """
    # A copy, because embeddings that were made in inference mode cannot take part in a backward pass.
    faces = faces.detach().clone()
    with torch.no_grad():
        true_logits, true_features = face_logits(faces).float(), decoder_features(faces).float()
    teacher = (true_logits / TEMPERATURE).softmax(dim=1)
    student = (face_logits(voices).float() / TEMPERATURE).log_softmax(dim=1)
    distilled = -(teacher * student).sum(dim=1)
    apart = (decoder_features(voices).float() - true_features).abs()
    voices, faces = voices.float(), faces.float()
    if compat == "original":
        base = (voices / voices.norm() - faces / faces.norm()).square().sum()
        terms = (base, distilled.sum(), apart.mean())
    else:
        directions = F.normalize(voices, dim=1, eps=_SHORTEST) - F.normalize(faces, dim=1, eps=_SHORTEST)
        terms = (directions.square().sum(dim=1).mean(), distilled.mean(), apart.sum(dim=1).mean())
    base_term = weights.base * terms[0]
    encoder_term = weights.face_encoder * terms[1]
    decoder_term = weights.face_decoder * terms[2]
    return VoiceTerms(base_term + encoder_term + decoder_term, base_term, encoder_term, decoder_term)
