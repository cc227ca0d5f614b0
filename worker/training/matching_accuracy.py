"""How often the right one is found among K, worked out for a batch rather than drawn.

Among K - 1 negatives drawn at random, the match is the best of all with probability p to the power of K - 1, where p is
the share of negatives that score below it; a tie counts as a half.
"""

from __future__ import annotations

import torch

WAYS = (2, 10)


def accuracies(
    scores: torch.Tensor,
    identities: torch.Tensor,
    groups: torch.Tensor | None = None,
    ending: str = "",
) -> dict[str, float]:
    """`matching.voice_to_face.2` and so on.

    Args:
        scores: `[voices, faces]`; matches are on the diagonal.
        identities: `[N]`; nobody is a negative of their own.
        groups: `[N]`, where only negatives of the own group count.
        ending: of the names.
    """
    negatives = identities[:, None] != identities[None, :]
    if groups is not None:
        negatives &= groups[:, None] == groups[None, :]
    answer = {}
    for direction, table in (("voice_to_face", scores), ("face_to_voice", scores.T)):
        beaten = _beaten(table, negatives)
        for ways in WAYS:
            # Of whom nobody is left to compare with, nothing is known: chance.
            value = float((beaten ** (ways - 1)).mean()) if len(beaten) else 1 / ways
            answer[f"matching.{direction}.{ways}{ending}"] = value
    return answer


def _beaten(scores: torch.Tensor, negatives: torch.Tensor) -> torch.Tensor:
    """The share of each query's negatives that score below its match, of queries that have any."""
    match = scores.diagonal()[:, None]
    below = (match > scores).double() + 0.5 * (match == scores).double()
    counts = negatives.sum(dim=1)
    shares = (below * negatives).sum(dim=1) / counts.clamp(min=1)
    return shares[counts > 0]
