"""How far drawn faces differ from each other: a model that always draws one face is no use, however well it scores."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from worker.ml.metrics.intervals import Integers, Interval, Numbers, bootstrap
from worker.ml.metrics.matching import Vectors

MOST_PAIRS = 5000
MOST_FACES = 500
_STEP = 4  # every fourth pixel: faces are smooth, and all pixels say the same


def identity_variation(vectors: Vectors) -> Interval:
    """Mean cosine distance between two people's drawn faces; vectors are unit `[N, D]`, rows of zeros far from all."""
    return _mean_distance(1 - vectors.astype(np.float64) @ vectors.T)


def pixel_variation(faces: npt.NDArray[np.uint8]) -> Interval:
    """Mean absolute difference between two people's drawn faces, in grey levels of 255. uint8 `[N, H, W, 3]`.

    Of many people the first `MOST_FACES` are compared: pairs grow with the square, and what they say does not.
    """
    small = faces[:MOST_FACES, ::_STEP, ::_STEP].astype(np.float32)
    small = small.reshape(len(small), -1)
    return _mean_distance(np.array([np.abs(small - one).mean(axis=1) for one in small], dtype=np.float64))


def inter_human_similarity(drawn: Vectors, true: Vectors) -> Interval:
    """Mean cosine between each drawn face and the true faces of all *others* (SF2F). Lower is more distinct."""
    similarity = drawn.astype(np.float64) @ true.T
    others = ~np.eye(len(drawn), dtype=bool)
    each = (similarity * others).sum(axis=1) / max(1, len(true) - 1)
    return Interval(float(each.mean()), *bootstrap(each), len(each))


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
    for _ in range(500):
        times = np.bincount(chance.integers(len(people), size=len(people)), minlength=len(people))
        weights = times[places[:, 0]] * times[places[:, 1]]
        if weights.sum() > 0:
            means.append(float((values * weights).sum() / weights.sum()))
    low, high = np.quantile(means, [0.025, 0.975])
    return Interval(float(values.mean()), float(low), float(high), len(people))


def _mean_distance(distances: Numbers) -> Interval:
    count = len(distances)
    if count < 2:
        raise ValueError("Two faces at least are needed to see how they differ.")
    # Summed over others alone; a person's mean distance to them is one witness.
    each = (distances.sum(axis=1) - np.diag(distances)) / (count - 1)
    return Interval(float(each.mean()), *bootstrap(each), count)
