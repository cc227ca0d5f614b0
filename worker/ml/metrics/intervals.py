"""How sure a measured number is: 95 % intervals, over people and not over pairs or clips.

Two clips of one person are no two witnesses. So everything here first averages within a person, and resamples people.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Z = 1.96  # standard deviations to either side that hold 95 % of a normal distribution
RESAMPLES = 1000
Numbers = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


class Interval(NamedTuple):
    """A number with the ends of its 95 % interval, and how many people it is of."""

    value: float
    low: float
    high: float
    people: int


def wilson(successes: float, total: float) -> tuple[float, float]:
    """Wilson's 95 % score interval of a share (E. B. Wilson 1927). Holds also near 0 and 1, where p ± 2σ does not.

    Args:
        successes: out of `total`; need not be whole, as shares of ties are not.
    """
    if total <= 0:
        return math.nan, math.nan
    share = successes / total
    centre = (share + Z * Z / (2 * total)) / (1 + Z * Z / total)
    reach = Z * math.sqrt(share * (1 - share) / total + Z * Z / (4 * total * total)) / (1 + Z * Z / total)
    return max(0.0, centre - reach), min(1.0, centre + reach)


def bootstrap(values: Numbers, *, seed: int = 0, resamples: int = RESAMPLES) -> tuple[float, float]:
    """95 % interval of a mean by resampling people (Efron's percentiles).

    Args:
        values: `[P]`, one for each person.
    """
    if len(values) == 0:
        return math.nan, math.nan
    chance = np.random.default_rng(seed)
    means = [values[chance.integers(len(values), size=len(values))].mean() for _ in range(resamples)]
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)


def per_person(values: Numbers, people: Integers) -> Numbers:
    """Mean of each person's values, people in rising order; NaN counts as not measured.

    Args:
        values, people: `[N]`.
    """
    known = ~np.isnan(values)
    _, places = np.unique(people[known], return_inverse=True)
    means: Numbers = np.bincount(places, weights=values[known]) / np.bincount(places)
    return means


def mean_over_people(
    values: Numbers, people: Integers | None = None, *, share: bool = False, seed: int = 0
) -> Interval:
    """Mean over people of the mean of each one's values, with its interval.

    Args:
        values: `[N]`; NaN is not measured.
        people: `[N]`, whose each value is; left out, everybody has one.
        share: of yes and no. Where each person has said one of the two, the interval is Wilson's; otherwise, and where
            all agree (resampling would give an interval of no width), it is adapted as said.
    """
    owners = np.arange(len(values)) if people is None else people
    means = per_person(values.astype(np.float64), owners)
    if len(means) == 0:
        return Interval(math.nan, math.nan, math.nan, 0)
    value = float(means.mean())
    plain = bool(np.isin(means, (0.0, 1.0)).all())
    low, high = wilson(float(means.sum()), len(means)) if share and plain else bootstrap(means, seed=seed)
    return Interval(value, low, high, len(means))
