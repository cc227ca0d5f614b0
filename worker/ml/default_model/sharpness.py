"""How clear a target face is: many were made from frames with a turned head or bad light, and are vague."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

LEAST_WEIGHT = 0.15  # even the vaguest face counts a little, so that pale and old faces, often vague, stay in


def clarity_weights(faces: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    """How much each face should count, mean one. uint8 `[N, 224, 224, 3]` -> `[N]`.

    By rank of the mean absolute Laplacian over the middle of the face; the clearer third count equally.
    """
    detail = np.asarray([_detail(face) for face in faces])
    rank = np.argsort(np.argsort(detail)) / len(detail)
    weights = np.clip(1.5 * rank, LEAST_WEIGHT, 1.0)
    return np.asarray(weights / weights.mean())


def _detail(face: npt.NDArray[np.uint8]) -> float:
    height, width = face.shape[:2]
    grey = face.mean(axis=2)[height * 2 // 11 : height * 10 // 11, width * 2 // 9 : width * 7 // 9]
    laplacian = 4 * grey[1:-1, 1:-1] - grey[:-2, 1:-1] - grey[2:, 1:-1] - grey[1:-1, :-2] - grey[1:-1, 2:]
    return float(np.abs(laplacian).mean())
