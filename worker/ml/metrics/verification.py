"""Verification: are this voice and this face of one person? The area under the ROC curve over pairs.

It is the chance that a pair of one person is nearer than a pair of two people (Mann and Whitney 1947); one half for
guessing. Whose interval: people are resampled, and with each person all pairs that they are part of.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from worker.ml.metrics.intervals import Integers, Interval, Numbers
from worker.ml.metrics.matching import UNKNOWN_GROUP, Vectors

MOST_NEGATIVES = 200  # of each query; more change the last digits only
_BINS = 4096
_RESAMPLES = 500


class Pairs(NamedTuple):
    """Scored pairs: `scores`, and the two people, the same in `positive` ones. `[N]` each."""

    scores: Numbers
    first: Integers
    second: Integers

    @property
    def positive(self) -> npt.NDArray[np.bool_]:
        same: npt.NDArray[np.bool_] = self.first == self.second
        return same


def scored_pairs(
    queries: Vectors,
    candidates: Vectors,
    query_people: Integers,
    candidate_people: Integers,
    *,
    groups: Integers | None = None,
    seed: int = 0,
) -> Pairs:
    """All pairs of one person, and up to `MOST_NEGATIVES` of two for each query.

    Args:
        queries, candidates: `[Q, D]` and `[C, D]`; the inner product says how near.
        query_people, candidate_people: `[Q]` and `[C]`, whose they are, numbers from 0.
        groups: `[people]`; given, pairs are of one group alone, and people of `UNKNOWN_GROUP` stay out.
        seed: of which negatives are taken.
    """
    scores: list[Numbers] = []
    first: list[Integers] = []
    second: list[Integers] = []
    for number, (query, person) in enumerate(zip(queries, query_people, strict=True)):
        own = candidate_people == person
        rivals = ~own
        if groups is not None:
            if groups[person] == UNKNOWN_GROUP:
                continue
            rivals &= groups[candidate_people] == groups[person]
        others = np.flatnonzero(rivals)
        if len(others) > MOST_NEGATIVES:
            chance = np.random.default_rng((seed, number))
            others = np.sort(chance.choice(others, MOST_NEGATIVES, replace=False))
        chosen = np.concatenate([np.flatnonzero(own), others])
        scores.append((candidates[chosen] @ query).astype(np.float64))
        first.append(np.full(len(chosen), person))
        second.append(candidate_people[chosen])
    if not scores:
        nobody = np.empty(0, dtype=np.int64)
        return Pairs(np.empty(0), nobody, nobody)
    return Pairs(np.concatenate(scores), np.concatenate(first), np.concatenate(second))


def area_under_curve(positives: Numbers, negatives: Numbers) -> float:
    """ROC AUC of scores `[P]` and `[N]`: P(positive > negative) + ½·P(equal). NaN where either is missing."""
    if len(positives) == 0 or len(negatives) == 0:
        return float("nan")
    ordered = np.sort(negatives)
    below = np.searchsorted(ordered, positives, side="left")
    up_to = np.searchsorted(ordered, positives, side="right")
    return float((below + up_to).mean() / 2 / len(negatives))


def verification(pairs: Pairs, *, seed: int = 0) -> Interval:
    """AUC of scored pairs with its interval over people."""
    positive = pairs.positive
    value = area_under_curve(pairs.scores[positive], pairs.scores[~positive])
    people, places = np.unique(np.concatenate([pairs.first, pairs.second]), return_inverse=True)
    if len(people) < 2 or not np.isfinite(value):
        return Interval(value, float("nan"), float("nan"), len(people))
    first, second = places[: len(pairs.first)], places[len(pairs.first) :]
    # Sorted anew for each of 500 resamples, a million pairs take minutes; counted in narrow bins, seconds.
    edges = np.unique(np.quantile(pairs.scores, np.linspace(0, 1, _BINS + 1)[1:-1]))
    bins = np.searchsorted(edges, pairs.scores, side="right")
    chance = np.random.default_rng(seed)
    areas = []
    for _ in range(_RESAMPLES):
        times = np.bincount(chance.integers(len(people), size=len(people)), minlength=len(people))
        weights = np.where(positive, times[first], times[first] * times[second]).astype(np.float64)
        right = np.bincount(bins[positive], weights[positive], minlength=len(edges) + 1)
        wrong = np.bincount(bins[~positive], weights[~positive], minlength=len(edges) + 1)
        if right.sum() > 0 and wrong.sum() > 0:
            below = np.cumsum(wrong) - wrong / 2
            areas.append(float((right * below).sum() / right.sum() / wrong.sum()))
    low, high = np.quantile(areas, [0.025, 0.975])
    return Interval(value, float(low), float(high), len(people))
