"""How far drawn faces differ from each other: a model that always draws one face is no use, however well it scores."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from worker.ml.metrics.intervals import Integers, Interval, Numbers
from worker.ml.metrics.matching import Vectors

MOST_PAIRS = 5000
MOST_FACES = 500
_RESAMPLES = 500
_STEP = 4  # every fourth pixel: faces are smooth, and all pixels say the same


def identity_variation(vectors: Vectors) -> Interval:
    """Mean cosine distance between two people's drawn faces; vectors are unit `[N, D]`, rows of zeros far from all."""
    return _mean_over_others(1 - vectors.astype(np.float64) @ vectors.T)


def pixel_variation(faces: npt.NDArray[np.uint8]) -> Interval:
    """Mean absolute difference between two people's drawn faces, in grey levels of 255. uint8 `[N, H, W, 3]`.

    Of many people the first `MOST_FACES` are compared: pairs grow with the square, and what they say does not.
    """
    small = faces[:MOST_FACES, ::_STEP, ::_STEP].astype(np.float32)
    small = small.reshape(len(small), -1)
    return _mean_over_others(np.array([np.abs(small - one).mean(axis=1) for one in small], dtype=np.float64))


def inter_human_similarity(drawn: Vectors, true: Vectors) -> Interval:
    """Mean cosine between each drawn face and the true faces of all *others* (SF2F). Lower is more distinct.

    Args:
        drawn, true: unit `[N, D]` both, row i of both of the same person.
    """
    return _mean_over_others(drawn.astype(np.float64) @ true.T)


def some_pairs(count: int, seed: int, most: int = MOST_PAIRS) -> Integers:
    """All pairs of different numbers below `count`, or so many of them by lot. `[pairs, 2]`."""
    pairs = np.stack(np.triu_indices(count, 1), axis=1)
    if len(pairs) > most:
        pairs = pairs[np.sort(np.random.default_rng(seed).choice(len(pairs), most, replace=False))]
    return pairs


def mean_over_pairs(values: Numbers, pairs: Integers, seed: int = 0) -> Interval:
    """Mean of a distance over pairs, with an interval by resampling people.

    Args:
        values, pairs: `[N]` and `[N, 2]`.
    """
    people = np.unique(pairs)
    places = np.searchsorted(people, pairs)
    chance = np.random.default_rng(seed)
    means = []
    for _ in range(_RESAMPLES):
        times = np.bincount(chance.integers(len(people), size=len(people)), minlength=len(people))
        weights = times[places[:, 0]] * times[places[:, 1]]
        if weights.sum() > 0:
            means.append(float((values * weights).sum() / weights.sum()))
    low, high = np.quantile(means, [0.025, 0.975])
    return Interval(float(values.mean()), float(low), float(high), len(people))


def _mean_over_others(table: Numbers) -> Interval:
    """Mean of a table `[N, N]` of people by people without its diagonal, with an interval by resampling people.

    A person drawn k times stands for k rows and k columns at once. Resampling rows alone, as if each row's mean were a
    measurement of its own, makes intervals half as wide as they are: whoever is unlike all others is so in every row.
    """
    count = len(table)
    if count < 2:
        raise ValueError("Two faces at least are needed to see how they differ.")
    others = table - np.diag(np.diag(table))
    times = np.random.default_rng(0).multinomial(count, np.full(count, 1 / count), _RESAMPLES).astype(float)
    sums = ((times @ others) * times).sum(axis=1)
    pairs = count**2 - (times**2).sum(axis=1)
    low, high = np.quantile(sums[pairs > 0] / pairs[pairs > 0], [0.025, 0.975])
    return Interval(float(others.sum() / (count * (count - 1))), float(low), float(high), count)
