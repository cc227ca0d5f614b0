"""The numbers that AST features are normalised with: mean and standard deviation over all frames of a data set.

Sums are pooled, in double precision and in the order of the data set: averages of each file's own deviation would be
too small, and frames of padding would pull the mean.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class FrameSums:
    """Sums over the frames of one recording, or of many.

    Attributes:
        frames: how many there are.
        values: how many numbers that is.
        total, squares: of these numbers, and of their squares.
    """

    frames: int = 0
    values: int = 0
    total: float = 0.0
    squares: float = 0.0

    @classmethod
    def of(cls, features: npt.NDArray[np.float32]) -> FrameSums:
        """Of float32 `[frames, bands]`."""
        wide = features.astype(np.float64)
        return cls(len(wide), wide.size, float(wide.sum()), float(np.square(wide).sum()))

    @classmethod
    def pooled(cls, sums: Iterable[FrameSums]) -> FrameSums:
        """Of many, added without loss in any order."""
        every = list(sums)
        return cls(
            sum(one.frames for one in every),
            sum(one.values for one in every),
            math.fsum(one.total for one in every),
            math.fsum(one.squares for one in every),
        )

    @property
    def mean(self) -> float:
        """Raises ValueError where there are no frames."""
        if not self.values:
            raise ValueError("nothing has no mean")
        return self.total / self.values

    @property
    def std(self) -> float:
        """Of the population, over all frames and bands together."""
        return math.sqrt(max(0.0, self.squares / self.values - self.mean**2))


def without_padding(features: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Features that somebody made, without the frames they were filled up with at the end. `[T, B]` -> `[T', B]`.

    Such frames hold one value in all bands, both before normalisation and after it. Ours have none: short recordings
    are repeated.
    """
    there = np.flatnonzero((features != features[:, :1]).any(axis=1))
    return features[: there[-1] + 1 if len(there) else 0]
