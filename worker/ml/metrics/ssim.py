"""Structural similarity of pictures: Wang, Bovik, Sheikh and Simoncelli, IEEE TIP 13(4), 2004.

    SSIM = (2·μx·μy + C1)(2·σxy + C2) / ((μx² + μy² + C1)(σx² + σy² + C2))

in a Gaussian window of 11×11 pixels (σ 1.5), C1 = (0.01·255)², C2 = (0.03·255)², on brightness, averaged over all
places where the window lies within the picture, as in the authors' program (which first reduces pictures whose sides
are above 256 pixels; ours are not).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from worker.ml.metrics.intervals import Numbers

WINDOW, SIGMA = 11, 1.5
RANGE, K1, K2 = 255.0, 0.01, 0.03
BRIGHTNESS = np.array([0.299, 0.587, 0.114])  # of red, green and blue, Rec. 601
Faces = npt.NDArray[np.uint8]


def structural_similarity(ours: Faces, theirs: Faces) -> Numbers:
    """SSIM of each pair; 1 for equal pictures.

    Args:
        ours, theirs: uint8 RGB `[N, H, W, 3]`, sides of at least 11.
    """
    return np.array(
        [_ssim(first @ BRIGHTNESS, second @ BRIGHTNESS) for first, second in zip(ours, theirs, strict=True)]
    )


def _ssim(first: Numbers, second: Numbers) -> float:
    c1, c2 = (K1 * RANGE) ** 2, (K2 * RANGE) ** 2
    mean_1, mean_2 = _blurred(first), _blurred(second)
    spread_1 = _blurred(first * first) - mean_1 * mean_1
    spread_2 = _blurred(second * second) - mean_2 * mean_2
    together = _blurred(first * second) - mean_1 * mean_2
    above = (2 * mean_1 * mean_2 + c1) * (2 * together + c2)
    below = (mean_1**2 + mean_2**2 + c1) * (spread_1 + spread_2 + c2)
    return float((above / below).mean())


def _blurred(picture: Numbers) -> Numbers:
    """Means in the window, without the border. `[H, W]` -> `[H - 10, W - 10]`."""
    places = np.arange(WINDOW) - WINDOW // 2
    weights = np.exp(-(places**2) / (2 * SIGMA**2))
    weights = weights / weights.sum()
    height, width = picture.shape[0] - WINDOW + 1, picture.shape[1] - WINDOW + 1
    rows = sum(weight * picture[at : at + height] for at, weight in enumerate(weights))
    blurred: Numbers = np.asarray(sum(weight * rows[:, at : at + width] for at, weight in enumerate(weights)))
    return blurred
