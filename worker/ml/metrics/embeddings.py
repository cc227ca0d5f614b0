"""How far two embeddings of one person are apart."""

from __future__ import annotations

import numpy as np

from worker.ml.metrics.intervals import Integers, Numbers
from worker.ml.metrics.matching import Vectors


def unit_length(vectors: Vectors) -> Vectors:
    """`[N, D]` brought to unit length, row by row; rows of zeros stay."""
    lengths = np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    scaled: Vectors = (vectors / np.where(lengths > 0, lengths, 1.0)).astype(np.float32)
    return scaled


def embedding_distances(ours: Vectors, theirs: Vectors) -> dict[str, Numbers]:
    """Of each pair of rows, after both are brought to unit length, so that no scale counts.

    Args:
        ours, theirs: `[N, D]`.

    Returns:
        `[N]` each: `cosine` (similarity), `l1` (sum of |difference|), `l2` (length of the difference), and `angle`
        (arc cosine, in degrees).
    """
    first, second = unit_length(ours).astype(np.float64), unit_length(theirs).astype(np.float64)
    cosine = np.clip((first * second).sum(axis=1), -1.0, 1.0)
    difference = first - second
    return {
        "cosine": cosine,
        "l1": np.abs(difference).sum(axis=1),
        "l2": np.linalg.norm(difference, axis=1),
        # Half the chord: exact also for angles near 0, where the arc cosine loses half of its digits.
        "angle": np.degrees(2 * np.arcsin(np.clip(np.linalg.norm(difference, axis=1) / 2, 0.0, 1.0))),
    }


def mean_by_person(vectors: Vectors, people: Integers, count: int) -> Vectors:
    """The mean of each person's unit vectors, unit again. `[N, D]` -> `[count, D]`; zeros for who has none."""
    sums = np.zeros((count, vectors.shape[1]))
    np.add.at(sums, people, unit_length(vectors))
    return unit_length(sums.astype(np.float32))
