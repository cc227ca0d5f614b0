"""How unlike two sets of pictures are as sets: Fréchet distance and kernel distance of their features.

With the pool-3 features of Inception-v3 they are FID (Heusel et al., arXiv 1706.08500) and KID (Bińkowski et al., arXiv
1801.01401). With other features they are numbers of another scale, that only compare models measured alike: a report
says which features. The Fréchet distance of few samples is far too large, since a covariance of D features needs more
than D samples not to be singular (2,048 for FID) and many more to be right; the kernel distance is unbiased for any
number, and has an interval.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from worker.ml.metrics.intervals import Interval, Numbers, Z

Features = npt.NDArray[np.float32]
_KERNEL_DEGREE = 3


class FrechetDistance(NamedTuple):
    """The distance, and whether each covariance had more samples than features."""

    value: float
    enough_samples: bool


def frechet_distance(ours: Features, theirs: Features) -> FrechetDistance:
    """|μ1 - μ2|² + Tr(C1 + C2 - 2·(C1·C2)^½) of two sets of features.

    The trace of the root is the sum of the singular values of X1·X2ᵀ, where C = XᵀX: no root of a matrix is taken, and
    nothing is added to make a singular one regular.

    Args:
        ours, theirs: `[N, D]` and `[M, D]`, at least two rows each.
    """
    first, second = ours.astype(np.float64), theirs.astype(np.float64)
    if min(len(first), len(second)) < 2:
        raise ValueError("A covariance takes at least two samples.")
    means = first.mean(axis=0), second.mean(axis=0)
    # Scaled so that C = XᵀX; where samples abound, a square factor does in their place.
    centred = [
        _small_factor((values - mean) / np.sqrt(len(values) - 1))
        for values, mean in zip((first, second), means, strict=True)
    ]
    root_trace = np.linalg.svd(centred[0] @ centred[1].T, compute_uv=False).sum()
    traces = (centred[0] ** 2).sum() + (centred[1] ** 2).sum()
    distance = ((means[0] - means[1]) ** 2).sum() + traces - 2 * root_trace
    return FrechetDistance(float(max(0.0, distance)), min(len(first), len(second)) > first.shape[1])


def kernel_distance(ours: Features, theirs: Features) -> Interval:
    """Unbiased squared maximum mean discrepancy with the kernel (x·y / D + 1)³; 0 for one distribution.

    Being unbiased, it falls a little below 0 about as often as above where the two are alike. The interval is the
    jackknife's: each time one person less, on both sides.

    Args:
        ours, theirs: `[N, D]` both, row i of both of the same person; at least three rows.
    """
    first, second = ours.astype(np.float64), theirs.astype(np.float64)
    count = len(first)
    if len(second) != count or count < 3:
        raise ValueError("The kernel distance takes as many features on both sides, three or more.")
    same_1, same_2, across = _kernel(first, first), _kernel(second, second), _kernel(first, second)
    for kernel in (same_1, same_2):
        np.fill_diagonal(kernel, 0.0)

    def distance(sum_1: Numbers, sum_2: Numbers, sum_across: Numbers, people: int) -> Numbers:
        return (sum_1 + sum_2) / (people * (people - 1)) - 2 * sum_across / people**2

    whole = float(distance(same_1.sum(), same_2.sum(), across.sum(), count))
    without = distance(
        same_1.sum() - 2 * same_1.sum(axis=0),
        same_2.sum() - 2 * same_2.sum(axis=0),
        across.sum() - across.sum(axis=0) - across.sum(axis=1) + np.diag(across),
        count - 1,
    )
    error = float(np.sqrt((count - 1) / count * ((without - without.mean()) ** 2).sum()))
    return Interval(whole, whole - Z * error, whole + Z * error, count)


def _kernel(first: Numbers, second: Numbers) -> Numbers:
    kernel: Numbers = (first @ second.T / first.shape[1] + 1) ** _KERNEL_DEGREE
    return kernel


def _small_factor(rows: Numbers) -> Numbers:
    """A matrix X of at most D rows with the same XᵀX."""
    if len(rows) <= rows.shape[1]:
        return rows
    factor: Numbers = np.asarray(np.linalg.qr(rows, mode="r"), dtype=np.float64)
    return factor
