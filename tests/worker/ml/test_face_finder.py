"""Faces are found, and their landmarks come in the order that the face decoder was trained with."""

from __future__ import annotations

import importlib.util
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.worker.ml.drawn_faces import empty_room, faces, needs_dlib
from worker.ml import face_finder
from worker.ml.errors import ModelError
from worker.ml.face_finder import GROUPS, FaceFinder, seventy_two

# Written down from the published order of groups, point by point, and not made by the code under test.
PUBLISHED = [
    *(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16),  # chin
    *(17, 18, 19, 20, 21, 22, 23, 24, 25, 26),  # eyebrows
    *(27, 28, 29, 30, 31, 32, 33, 34, 35),  # nose
    *(36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47),  # eyes
    *(48, 49, 50, 51, 52, 53, 54, 64, 63, 62, 61, 60),  # top lip
    *(54, 55, 56, 57, 58, 59, 48, 60, 67, 66, 65, 64),  # bottom lip
]


def test_the_72_points_come_in_the_published_order() -> None:
    numbered = np.repeat(np.arange(68, dtype=np.float32)[:, None], 2, axis=1)
    assert seventy_two(numbered)[:, 0].astype(int).tolist() == PUBLISHED
    assert seventy_two(numbered).shape == (72, 2)


def test_all_68_points_are_used_and_four_of_them_twice() -> None:
    counted = np.bincount(PUBLISHED)
    assert len(counted) == 68
    assert np.flatnonzero(counted == 2).tolist() == [48, 54, 60, 64]
    assert [len(group) for group in GROUPS.values()] == [17, 5, 5, 4, 5, 6, 6, 12, 12]


def test_without_its_package_one_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    hidden = "face_recognition_models"

    def find(name: str, *more: Any) -> Any:
        return None if name == hidden else found(name, *more)

    monkeypatch.setattr(importlib.util, "find_spec", find)
    with pytest.raises(ModelError, match="voicesketch\\[faces\\]") as caught:
        face_finder._landmarks_file()
    assert caught.value.code == "model_not_found"
    monkeypatch.setitem(sys.modules, "dlib", None)
    with pytest.raises(ModelError, match="voicesketch\\[faces\\]"):
        FaceFinder()


@pytest.fixture(scope="module")
def finder() -> FaceFinder:
    needs_dlib()
    return FaceFinder()


def test_a_face_is_found_and_its_eyes_lie_above_its_mouth(finder: FaceFinder) -> None:
    face, _ = faces()
    [box] = finder.find(face)
    points = finder.landmarks(face, box)
    assert points.shape == (68, 2) and points.dtype == np.float32
    left_eye, right_eye = (points[list(GROUPS[eye])].mean(axis=0) for eye in ("left_eye", "right_eye"))
    mouth = points[list(GROUPS["top_lip"])].mean(axis=0)
    assert left_eye[0] < mouth[0] < right_eye[0]
    assert mouth[1] > max(left_eye[1], right_eye[1]) + 30
    assert abs(box.centre[0] - 112) < 25


def test_nobody_is_found_in_an_empty_room(finder: FaceFinder) -> None:
    assert finder.find(empty_room()) == []
    assert finder.find(np.zeros((1, 1, 3), dtype=np.uint8)) == []


def test_of_two_faces_the_larger_comes_first(finder: FaceFinder) -> None:
    first, second = faces()
    large = np.asarray(Image.fromarray(second).resize((320, 320)))
    pair = np.full((320, 544, 3), 255, dtype=np.uint8)
    pair[:224, :224], pair[:, 224:] = first, large
    boxes = finder.find(pair)
    assert len(boxes) == 2
    assert boxes[0].area > boxes[1].area
    assert boxes[0].centre[0] > 224 > boxes[1].centre[0]


def test_boxes_of_a_large_picture_are_in_its_own_pixels(finder: FaceFinder) -> None:
    face, _ = faces()
    [box] = finder.find(face)
    [large] = finder.find(np.asarray(Image.fromarray(face).resize((1344, 1344))))
    assert np.allclose(np.array(large.centre) / 6, box.centre, atol=6)
    assert (large.right - large.left) / 6 == pytest.approx(box.right - box.left, rel=0.2)


def test_several_threads_find_the_same(finder: FaceFinder) -> None:
    face, other = faces()
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda at: finder.find((face, other)[at % 2]), range(12)))
    assert found[::2] == [found[0]] * 6 and found[1::2] == [found[1]] * 6
