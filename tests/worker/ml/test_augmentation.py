"""Changed samples are still of the same person, and the same chance changes them the same way."""

from __future__ import annotations

import numpy as np
import pytest

from worker.ml.augmentation import (
    MIRRORED,
    add_noise,
    blank,
    brighten,
    change_level,
    mirror_landmarks,
    mirror_picture,
    stretch,
)
from worker.ml.networks.landmark_warp import DLIB_ORDER


def chance() -> np.random.Generator:
    return np.random.default_rng(5)


def test_mirroring_twice_is_nothing() -> None:
    landmarks = chance().uniform(0, 31, 144).astype(np.float32)
    assert np.array_equal(MIRRORED[MIRRORED], np.arange(72))
    assert mirror_landmarks(mirror_landmarks(landmarks, 32), 32) == pytest.approx(landmarks, abs=1e-4)
    picture = chance().integers(0, 255, (8, 8, 3), np.uint8)
    assert np.array_equal(mirror_picture(mirror_picture(picture)), picture)


def test_landmarks_follow_the_pixels_and_keep_their_names() -> None:
    landmarks = np.zeros(144, np.float32).reshape(72, 2)
    landmarks[DLIB_ORDER.index(36)] = (3, 9)  # the outer corner of the eye on the left of the picture
    landmarks[DLIB_ORDER.index(45)] = (25, 10)  # of the one on the right
    landmarks[DLIB_ORDER.index(8)] = (14, 30)  # the chin
    picture = np.zeros((32, 32, 3), np.uint8)
    picture[9, 3], picture[10, 25] = (255, 0, 0), (0, 255, 0)
    moved = mirror_landmarks(landmarks.reshape(-1), 32).reshape(72, 2)
    mirrored = mirror_picture(picture)
    left, right = moved[DLIB_ORDER.index(36)], moved[DLIB_ORDER.index(45)]
    assert tuple(left) == (6, 10) and tuple(mirrored[10, 6]) == (0, 255, 0)
    assert tuple(right) == (28, 9) and tuple(mirrored[9, 28]) == (255, 0, 0)
    assert tuple(moved[DLIB_ORDER.index(8)]) == (17, 30)


def test_each_lip_stays_one_outline() -> None:
    order = np.array(DLIB_ORDER)
    for lip in (slice(48, 60), slice(60, 72)):
        assert sorted(MIRRORED[lip]) == list(range(lip.start, lip.stop))
    # A point that is named twice goes to the two copies of its mirror image.
    copies = [order[MIRRORED[place]] for place in np.flatnonzero(order == 48)]
    assert copies == [54, 54]


def test_a_stretch_is_anywhere_with_chance_and_at_the_start_without() -> None:
    clip = np.arange(100, dtype=np.float32)
    assert stretch(clip, 10, None)[0] == 0
    starts = {int(stretch(clip, 10, np.random.default_rng(seed))[0]) for seed in range(200)}
    assert min(starts) < 5 and max(starts) > 85 and max(starts) <= 90
    assert np.array_equal(stretch(clip[:3], 7, chance()), [0, 1, 2, 0, 1, 2, 0])
    with pytest.raises(ValueError, match="without samples"):
        stretch(clip[:0], 5, None)


def test_noise_and_level_are_as_many_decibels_as_asked() -> None:
    clip = np.sin(np.arange(160_000) / 7).astype(np.float32)
    noise = add_noise(clip, 20, chance()) - clip
    assert 20 * np.log10(clip.std() / noise.std()) == pytest.approx(20, abs=0.1)
    assert not add_noise(np.zeros(10, np.float32), 20, chance()).any()
    gains = [
        20 * np.log10(change_level(clip, 6, np.random.default_rng(seed)).std() / clip.std())
        for seed in range(50)
    ]
    assert -6 <= min(gains) < -4 and 4 < max(gains) <= 6.001


def test_blanked_runs_are_no_longer_than_asked_and_leave_the_original_alone() -> None:
    features = np.ones((20, 40), np.float32)
    changed = blank(features, 1, 2, 0.25, chance(), fill=-3)
    assert features.all()
    blanked = (changed == -3).all(axis=0)
    assert 0 < blanked.sum() <= 20
    assert np.array_equal(changed == -3, np.broadcast_to(blanked, changed.shape))


def test_brightness_stays_within_bytes() -> None:
    picture = np.array([[[0, 128, 255]]], np.uint8)
    levels = [brighten(picture, 0.5, np.random.default_rng(seed))[0, 0] for seed in range(50)]
    assert {level[0] for level in levels} == {0}
    assert min(level[1] for level in levels) < 80 and max(level[2] for level in levels) == 255
