"""Finding the face that belongs to a voice among others, and the voice that belongs to a face.

A softmax over the scores of all candidates, in both directions. For each direction this is the N-pair loss (Sohn,
NeurIPS 2016): mean over i of log(1 + sum over j != i of exp(s_ij - s_ii)). Nothing is labelled: negatives are the other
clips of the batch, of other processes' batches, or a sample of them.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, get_args

import torch
from torch.nn import functional as F

Mix = Literal["any", "balanced", "same"]


class MatchingTerms(NamedTuple):
    """Scalars; `total` is half of each direction plus `distance`."""

    total: torch.Tensor
    voice_to_face: torch.Tensor
    face_to_voice: torch.Tensor
    distance: torch.Tensor


def matching_loss(
    faces: torch.Tensor,
    voices: torch.Tensor,
    *,
    scale: torch.Tensor | float = 1.0,
    extra_faces: torch.Tensor | None = None,
    extra_voices: torch.Tensor | None = None,
    negatives: torch.Tensor | None = None,
    distance_weight: float = 0.0,
) -> MatchingTerms:
    """½·(CE of a voice among faces + CE of a face among voices), each a mean over the N queries of a batch.

    Args:
        faces, voices: `[N, D]`; rows of the same number belong together.
        scale: inner products are multiplied by it. A learned one belongs to embeddings of unit length
            (`MatchingSpeechEncoder.scale`).
        extra_faces, extra_voices: `[E, D]`, further candidates that are nobody's match, such as those gathered from
            other processes. Where they carry gradients, the mean over processes has the gradients of one large batch.
        negatives: bool `[N, N + E]`: which candidates each query is compared with beside its match, see
            `choose_negatives`; all when left out.
        distance_weight: of the mean squared difference between matches, which some add; 0.02 is a value in use.

    Raises:
        ValueError: shapes that do not belong together.
    """
    if faces.shape != voices.shape or faces.ndim != 2:
        raise ValueError(
            f"Faces and voices come in pairs [N, D], not {list(faces.shape)} and {list(voices.shape)}."
        )
    # In float32 whatever else is in use: the softmax sharpens scores far beyond what bfloat16 can tell apart.
    with torch.autocast(faces.device.type, enabled=False):
        faces, voices = faces.float(), voices.float()
        voice_to_face = _direction(voices, faces, extra_faces, negatives, scale)
        face_to_voice = _direction(faces, voices, extra_voices, negatives, scale)
        distance = distance_weight * F.mse_loss(faces, voices)
    total = (voice_to_face + face_to_voice) / 2 + distance
    return MatchingTerms(total, voice_to_face, face_to_voice, distance)


def choose_negatives(
    identities: torch.Tensor,
    *,
    extra_identities: torch.Tensor | None = None,
    count: int | None = None,
    mix: Mix = "any",
    groups: torch.Tensor | None = None,
    extra_groups: torch.Tensor | None = None,
    generator: torch.Generator | None = None,
) -> torch.Tensor:
    """Which candidates each query of a batch is compared with, bool `[N, N + E]`, never one of its own identity.

    Args:
        identities: int `[N]`, whose clips these are. Without labels every clip is its own identity: `arange(N)`.
        extra_identities: int `[E]`, of the extra candidates.
        count: how many of them, drawn at random; all when left out. K - 1 makes a K-way choice. A query that has fewer
            to choose from takes them all.
        mix: `any`; `balanced`: as many of every group as there are, so that knowing the group does not suffice;
            `same`: only of the query's own group, so that it does not help at all.
        groups, extra_groups: int `[N]` and `[E]`, such as gender, for `balanced` and `same`.
        generator: of the draws, on the CPU.

    Raises:
        ValueError: an unknown mix, `balanced` without a count, or a mix without groups for everybody.
    """
    columns = _joined(identities, extra_identities)
    allowed = identities[:, None] != columns[None, :]
    all_groups = None
    if mix not in get_args(Mix):
        raise ValueError(f"There is no mix of negatives {mix!r}; use any, balanced or same.")
    if mix != "any":
        if groups is None or (extra_groups is None) != (extra_identities is None):
            raise ValueError(f"Negatives that are {mix} need the group of every candidate.")
        if mix == "balanced" and count is None:
            raise ValueError("Balanced negatives are drawn, so their count is needed.")
        all_groups = _joined(groups, extra_groups)
        if mix == "same":
            allowed = allowed & (groups[:, None] == all_groups[None, :])
    if count is None:
        return allowed
    order = torch.rand(allowed.shape, generator=generator).to(allowed.device)
    if mix == "balanced" and all_groups is not None:
        # The first of every group come before the second of any.
        order = order + _places_in_group(order, allowed, all_groups)
    order = order.masked_fill(~allowed, torch.inf)
    chosen = order.argsort(dim=1)[:, :count]
    return torch.zeros_like(allowed).scatter_(1, chosen, True) & allowed


def _direction(
    queries: torch.Tensor,
    candidates: torch.Tensor,
    extra: torch.Tensor | None,
    negatives: torch.Tensor | None,
    scale: torch.Tensor | float,
) -> torch.Tensor:
    if extra is not None:
        candidates = torch.cat([candidates, extra.float()])
    scores = scale * (queries @ candidates.T)
    matches = torch.arange(len(queries), device=scores.device)
    if negatives is not None:
        if negatives.shape != scores.shape:
            raise ValueError(
                f"Negatives {list(negatives.shape)} do not fit scores of shape {list(scores.shape)}."
            )
        kept = negatives.scatter(1, matches[:, None], True)
        scores = scores.masked_fill(~kept, -torch.inf)
    return F.cross_entropy(scores, matches)


def _joined(first: torch.Tensor, extra: torch.Tensor | None) -> torch.Tensor:
    return first if extra is None else torch.cat([first, extra])


def _places_in_group(order: torch.Tensor, allowed: torch.Tensor, groups: torch.Tensor) -> torch.Tensor:
    """How many of a candidate's group come before it in each query's random order, `[N, M]`."""
    places = torch.zeros_like(order)
    for group in torch.unique(groups):
        members = allowed & (groups == group)[None, :]
        among = order.masked_fill(~members, torch.inf).argsort(dim=1).argsort(dim=1)
        places = torch.where(members, among.to(order), places)
    return places
