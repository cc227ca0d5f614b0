"""How often the right one is found among K, worked out for a batch rather than drawn: the mean over all choices.

Among K - 1 of a query's n negatives drawn without putting back, the match is the best of all in a share of the choices
that follows from how many negatives it beats. The share of beaten ones to the power of K - 1, as if they were put back,
is too large: of guesses, it says 13 % of ten in a batch of sixteen. It is told for queries that have fewer than K - 1
negatives alone, such as in the last batch of a validation, for there is nothing else to tell.
"""

from __future__ import annotations

import numpy as np
import torch

from worker.ml.metrics.matching import share_won

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
        for ways in WAYS:
            answer[f"matching.{direction}.{ways}{ending}"] = _found(table, negatives, ways)
    return answer


def _found(scores: torch.Tensor, negatives: torch.Tensor, ways: int) -> float:
    """Mean over the queries that have any negatives."""
    match = scores.diagonal()[:, None]
    counts = torch.stack(
        [
            negatives.sum(dim=1),
            ((scores > match) & negatives).sum(dim=1),
            ((scores == match) & negatives).sum(dim=1),
        ]
    )
    rivals, nearer, tied = counts.cpu().numpy().astype(np.float64)
    asked = rivals > 0
    if not asked.any():
        return 1 / ways  # of whom nobody is left to compare with, nothing is known: chance
    rivals, nearer, tied = rivals[asked], nearer[asked], tied[asked]
    beaten = (rivals - nearer - tied / 2) / rivals
    enough = rivals >= ways - 1
    return float(np.where(enough, share_won(rivals, nearer, tied, ways), beaten ** (ways - 1)).mean())
