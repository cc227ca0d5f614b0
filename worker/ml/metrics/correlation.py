"""Whether two things go together: Pearson's and Spearman's coefficients, and a permutation test for distances."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from worker.ml.metrics.intervals import Interval, Numbers, Z

PERMUTATIONS = 999


def pearson(first: Numbers, second: Numbers) -> Interval:
    """Pearson's r of `[N]` and `[N]`, with the interval of Fisher's z. NaN where one of the two never changes."""
    count = len(first)
    # Asked of the values: rounding of their mean leaves equal ones a little deviation.
    if count < 4 or np.ptp(first) == 0 or np.ptp(second) == 0:
        return Interval(math.nan, math.nan, math.nan, count)
    deviation_1, deviation_2 = first - first.mean(), second - second.mean()
    below = math.sqrt(float((deviation_1**2).sum() * (deviation_2**2).sum()))
    if below == 0:
        return Interval(math.nan, math.nan, math.nan, count)
    r = float(np.clip((deviation_1 * deviation_2).sum() / below, -1.0, 1.0))
    middle = math.atanh(max(-1 + 1e-12, min(1 - 1e-12, r)))
    reach = Z / math.sqrt(count - 3)
    return Interval(r, math.tanh(middle - reach), math.tanh(middle + reach), count)


def spearman(first: Numbers, second: Numbers) -> float:
    """Spearman's rho of `[N]` and `[N]`: Pearson's r of ranks, equal values sharing their mean rank."""
    return pearson(_ranks(first), _ranks(second)).value


class DistanceCorrelation(NamedTuple):
    """Attributes:
    value: Spearman's rho over all pairs.
    p_value: one-sided: how often people in random order give as much or more; at least 1/(permutations + 1).
    chance_high: what 95 % of the random orders stay below.
    people, pairs: how many.
    """

    value: float
    p_value: float
    chance_high: float
    people: int
    pairs: int


def distance_correlation(first: Numbers, second: Numbers, *, seed: int = 0) -> DistanceCorrelation:
    """Whether people far apart in one are far apart in the other: the test of Mantel (Cancer Research 27, 1967).

    Pairs of people are not independent, so the test reorders people and not pairs.

    Args:
        first, second: symmetric distances `[N, N]`, at least four people.
    """
    count = len(first)
    above = np.triu_indices(count, 1)
    ranks_1, ranks_2 = _ranks(first[above]), _ranks(second[above])
    value = pearson(ranks_1, ranks_2).value
    if not math.isfinite(value):
        return DistanceCorrelation(value, math.nan, math.nan, count, len(ranks_1))
    table = np.zeros((count, count))
    table[above] = ranks_2
    table += table.T
    chance = np.random.default_rng(seed)
    centred = ranks_1 - ranks_1.mean()
    scale = math.sqrt(float((centred**2).sum() * ((ranks_2 - ranks_2.mean()) ** 2).sum()))
    others = np.empty(PERMUTATIONS)
    for number in range(PERMUTATIONS):
        order = chance.permutation(count)
        others[number] = (centred * table[order[above[0]], order[above[1]]]).sum() / scale
    p_value = float((1 + (others >= value - 1e-12).sum()) / (PERMUTATIONS + 1))
    return DistanceCorrelation(value, p_value, float(np.quantile(others, 0.95)), count, len(ranks_1))


def _ranks(values: Numbers) -> Numbers:
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks: Numbers = (last - (counts - 1) / 2)[places]
    return ranks
