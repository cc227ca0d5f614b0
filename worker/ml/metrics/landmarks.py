"""How far landmarks are from where they should be."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from worker.ml.metrics.intervals import Numbers

Points = npt.NDArray[np.float32]
REFERENCE_SIDE = 224  # pixels are counted at this size
OUTER_EYE_CORNERS = (36, 45)  # the same places in the orders of 68 and of 72 points


def landmark_errors(ours: Points, theirs: Points) -> dict[str, Numbers]:
    """Root of the mean squared distance between points, for each face.

    Args:
        ours, theirs: `[N, P, 2]`, x then y, in pixels of pictures of `REFERENCE_SIDE`; P is 68 or 72. Of 72, four
            count twice.

    Returns:
        `[N]` each: `rmse` in pixels; `normalised`, the same as a share of the distance between the outer corners of
        the eyes of `theirs` (the inter-ocular distance of 300-W, Sagonas et al., ICCV Workshops 2013).
    """
    squared = ((ours.astype(np.float64) - theirs) ** 2).sum(axis=2)
    rmse = np.sqrt(squared.mean(axis=1))
    return {"rmse": rmse, "normalised": rmse / inter_ocular(theirs)}


def inter_ocular(points: Points) -> Numbers:
    """Distance between the outer corners of the eyes. `[N, P, 2]` -> `[N]`."""
    left, right = OUTER_EYE_CORNERS
    distance: Numbers = np.linalg.norm(points[:, left].astype(np.float64) - points[:, right], axis=1)
    return distance
