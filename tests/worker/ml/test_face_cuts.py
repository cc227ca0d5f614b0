"""Cuts show what they say they show: points of the original lie where the cut's map puts them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from worker.ml.face_cuts import EYES_AT, MARGIN, Cut, aligned, face_square, whole
from worker.ml.face_finder import GROUPS, Box, Points
from worker.ml.images import Rgb

PLACES = np.array([(60.0, 70.0), (130.0, 55.0), (100.0, 120.0)], dtype=np.float32)


def dotted(places: Points, height: int = 200, width: int = 240) -> Rgb:
    """White blots around places on black; in each blot the middle is the brightest."""
    rows, columns = np.mgrid[:height, :width]
    light = np.zeros((height, width))
    for x, y in places:
        light = np.maximum(light, np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * 4.0**2)))
    return np.repeat((light * 255).astype(np.uint8)[:, :, None], 3, axis=2)


def blot_near(picture: Rgb, place: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """The centre of light within a few pixels of a place."""
    x, y = (round(float(value)) for value in place)
    reach = 7
    part = picture[y - reach : y + reach + 1, x - reach : x + reach + 1, 0].astype(np.float64)
    rows, columns = np.mgrid[y - reach : y + reach + 1, x - reach : x + reach + 1]
    return np.array([(part * columns).sum(), (part * rows).sum()]) / part.sum()


def face_points(left_eye: tuple[float, float], right_eye: tuple[float, float]) -> Points:
    points = np.zeros((68, 2), dtype=np.float32)
    points[list(GROUPS["left_eye"])], points[list(GROUPS["right_eye"])] = left_eye, right_eye
    return points


def cuts() -> dict[str, Cut]:
    picture = dotted(PLACES)
    return {
        "whole": whole(picture, 160),
        "face": face_square(picture, Box(50, 40, 150, 140), 150),
        "larger": face_square(picture, Box(50, 40, 150, 140), 300),
        "aligned": aligned(picture, face_points((60, 70), (130, 55)), 200),
    }


@pytest.mark.parametrize("which", ["whole", "face", "larger", "aligned"])
def test_points_lie_in_the_cut_where_its_map_says(which: str) -> None:
    cut = cuts()[which]
    for place in cut.points(PLACES):
        assert np.abs(blot_near(cut.rgb, place) - place).max() < 0.6


def test_a_face_square_has_the_box_in_its_middle_and_the_margin_around_it() -> None:
    cut = face_square(dotted(PLACES), Box(50, 40, 150, 140), 160)
    corners = cut.points(np.array([(50, 40), (150, 140)], dtype=np.float32))
    inner = 160 / (1 + 2 * MARGIN)
    assert corners[1] - corners[0] == pytest.approx([inner, inner], abs=0.01)
    assert corners.mean(axis=0) == pytest.approx([79.5, 79.5], abs=0.6)


@pytest.mark.parametrize("degrees", [0, 25, -60, 180])
def test_aligned_eyes_are_level_and_at_their_places_however_the_head_was_held(degrees: float) -> None:
    turn = np.deg2rad(degrees)
    middle, half = np.array([110.0, 95.0]), 30 * np.array([np.cos(turn), np.sin(turn)])
    eyes = np.array([middle - half, middle + half], dtype=np.float32)
    cut = aligned(dotted(eyes), face_points(*(tuple(eye) for eye in eyes)), 224)
    placed = cut.points(eyes)
    assert placed == pytest.approx(np.array(EYES_AT) * 224, abs=0.01)
    for place in placed:
        assert np.abs(blot_near(cut.rgb, place) - place).max() < 0.6


def test_aligning_scales_and_turns_but_never_shears_or_mirrors() -> None:
    to_cut = aligned(dotted(PLACES), face_points((60, 70), (130, 55)), 224).to_cut[:, :2]
    scale = np.sqrt(np.linalg.det(to_cut))
    assert to_cut @ to_cut.T == pytest.approx(scale**2 * np.eye(2))


def test_beyond_the_picture_its_edge_goes_on() -> None:
    picture = np.zeros((50, 50, 3), dtype=np.uint8)
    picture[:, :25], picture[:, 25:] = (200, 0, 0), (0, 0, 200)
    cut = face_square(picture, Box(-30, -30, 80, 80), 100).rgb
    assert cut.shape == (100, 100, 3)
    assert (cut[:, :40] == (200, 0, 0)).all() and (cut[:, 60:] == (0, 0, 200)).all()


def test_eyes_that_fall_together_still_give_a_picture() -> None:
    cut = aligned(dotted(PLACES), face_points((100, 100), (100, 100)), 64)
    assert cut.rgb.shape == (64, 64, 3)
    assert np.isfinite(cut.to_cut).all()


def test_a_large_face_is_averaged_down_and_not_sampled() -> None:
    stripes = np.zeros((1200, 1200, 3), dtype=np.uint8)
    stripes[:, ::2] = 255
    cut = aligned(stripes, face_points((420, 480), (780, 480)), 64).rgb
    assert np.abs(cut[8:-8, 8:-8].astype(int) - 127).max() < 20
