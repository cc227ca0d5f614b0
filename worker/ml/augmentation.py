"""Changes of training samples that leave who it is alone: mirrored faces, other stretches of a voice, blanked bands.

Everything is drawn from the numpy generator that is handed in, so a sample of an epoch is always the same. Blanking is
SpecAugment's (Park et al., Interspeech 2019, arXiv 1904.08779), without its warp.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from worker.ml.networks.landmark_warp import DLIB_ORDER

Array = npt.NDArray[np.float32]
Rgb = npt.NDArray[np.uint8]
_TOP_LIP, _BOTTOM_LIP = slice(48, 60), slice(60, 72)


def _mirrored_point(number: int) -> int:
    """Which of dlib's 68 points lies where this one does, once the picture is mirrored."""
    # The first and the last of each run of points that the midline maps onto itself, backwards.
    for first, last in ((0, 16), (17, 26), (31, 35), (48, 54), (55, 59), (60, 64), (65, 67)):
        if first <= number <= last:
            return first + last - number
    eyes = {36: 45, 37: 44, 38: 43, 39: 42, 40: 47, 41: 46}
    return {**eyes, **{right: left for left, right in eyes.items()}}.get(number, number)


def _mirrored_order() -> npt.NDArray[np.int64]:
    order = np.empty(len(DLIB_ORDER), np.int64)
    # Points that both lips hold are looked for in their own lip, so that each lip stays one outline.
    for part in (slice(0, 48), _TOP_LIP, _BOTTOM_LIP):
        points = DLIB_ORDER[part]
        order[part] = [part.start + points.index(_mirrored_point(point)) for point in points]
    return order


MIRRORED = _mirrored_order()  # [72]: the place in the list whose point comes to this place


def mirror_picture(picture: Rgb) -> Rgb:
    """Left becomes right. uint8 `[H, W, 3]`."""
    return np.ascontiguousarray(picture[:, ::-1])


def mirror_landmarks(landmarks: Array, width: int) -> Array:
    """The landmarks of a mirrored picture: moved, and in the order of the 72 points again, left eye before right.

    Args:
        landmarks: `[144]`, x0, y0, x1, … in pixels.
        width: of the picture in pixels.
    """
    points = landmarks.reshape(-1, 2)[MIRRORED].copy()
    points[:, 0] = (width - 1) - points[:, 0]
    return points.reshape(-1)


def brighten(picture: Rgb, share: float, random: np.random.Generator) -> Rgb:
    """Up or down by up to this share. uint8 `[H, W, 3]`."""
    factor = 1 + random.uniform(-share, share)
    brighter: Rgb = np.clip(np.rint(picture * np.float32(factor)), 0, 255).astype(np.uint8)
    return brighter


def stretch(waveform: Array, samples: int, random: np.random.Generator | None) -> Array:
    """So many samples of a clip `[T]`: from anywhere in it, or from its start without a generator; repeated if short.

    Raises:
        ValueError: a clip without samples.
    """
    if len(waveform) == 0:
        raise ValueError("a waveform without samples cannot be repeated")
    if len(waveform) < samples:
        return np.resize(waveform, samples)
    start = 0 if random is None else int(random.integers(len(waveform) - samples + 1))
    return waveform[start : start + samples]


def change_level(waveform: Array, gain_db: float, random: np.random.Generator) -> Array:
    """Louder or softer by up to so many decibels. float32 `[T]`."""
    return waveform * np.float32(10 ** (random.uniform(-gain_db, gain_db) / 20))


def add_noise(waveform: Array, below_db: float, random: np.random.Generator) -> Array:
    """White noise so many decibels below the level (RMS) of the clip float32 `[T]`; silence stays silent."""
    level = float(np.sqrt(np.mean(np.square(waveform, dtype=np.float64))))
    noise = random.standard_normal(len(waveform), dtype=np.float32)
    return waveform + noise * np.float32(level * 10 ** (-below_db / 20))


def blank(
    features: Array,
    axis: int,
    masks: int,
    share: float,
    random: np.random.Generator,
    fill: float = 0.0,
) -> Array:
    """Runs along an axis set to one value: stretches of time, or neighbouring bands.

    Args:
        features: float32, such as `[2, bins, frames]` or `[frames, bands]`; not changed.
        masks: how many runs.
        share: the longest, as a share of the axis; each is anything from nothing to that.
        fill: such as the mean of the data.
    """
    length = features.shape[axis]
    changed = features.copy()
    for _ in range(masks):
        run = int(random.integers(int(length * share) + 1))
        start = int(random.integers(length - run + 1))
        place: list[Any] = [slice(None)] * features.ndim
        place[axis] = slice(start, start + run)
        changed[tuple(place)] = fill
    return changed
