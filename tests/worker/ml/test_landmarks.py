"""A model that knows where the landmarks of its faces lie says so in the picture, and near where dlib finds them."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from core.faces.landmarks import HEAD_BYTES, read_landmarks
from tests.worker.ml.drawn_faces import needs_dlib
from worker.ml.audio import decode
from worker.ml.drawing_models import draw_faces
from worker.ml.face_finder import FaceFinder, seventy_two, sixty_eight
from worker.ml.face_generator import FaceGenerator
from worker.ml.model_folders import find_model
from worker.ml.networks.pretrained import Pictures
from worker.ml.pictures import LANDMARKS_KEY, face_metadata, face_png, read_metadata
from worker.ml.speech_to_face import SpeechToFace

SAMPLES = Path(__file__).parents[3] / "samples"
NEAR = 1.5  # pixels of 224; the median over many faces is 0.8 (docs/model.md), dlib itself is whole pixels


def test_the_default_model_knows_where_dlib_finds_the_landmarks_of_its_faces() -> None:
    needs_dlib()
    default = SpeechToFace.from_pretrained(find_model("default"), "cpu")
    voices = [decode(path).waveform for path in sorted(SAMPLES.glob("*.flac"))[:4]]
    finder = FaceFinder()
    away = []
    for face in draw_faces(default, voices):
        assert face.landmarks is not None
        found = finder.landmarks(face.rgb, finder.find(face.rgb)[0])
        away.append(np.linalg.norm(face.landmarks - found, axis=1))
    assert np.median(away) < NEAR
    # Not the same for everybody: each face is nearer to its own than the faces are to each other.
    one, other = (face.landmarks for face in draw_faces(default, voices[:2]))
    assert one is not None
    assert other is not None
    assert np.abs(one - other).max() > 2


def test_a_generator_that_was_never_told_landmarks_knows_none() -> None:
    latent = torch.randn(2, 5, generator=torch.Generator().manual_seed(0))
    for landmarks in (0, 68):
        generator = FaceGenerator(latent=5, texture_size=8, field_grid=3, landmarks=landmarks)
        assert generator.landmarks(latent) is None
    generator.get_buffer("landmarks_directions").copy_(torch.randn(5, 136))
    generator.get_buffer("landmarks_mean")[0] = -1.0
    found = generator.landmarks(latent)
    assert found is not None
    assert found.shape == (2, 68, 2)
    middle = generator.landmarks(torch.zeros(1, 5))
    assert middle is not None
    # The left edge of the picture is half a pixel before the middle of its first; the middle lies between two pixels.
    assert middle[0, 0].tolist() == [-0.5, 7.5]


def test_points_that_are_there_twice_become_one() -> None:
    points = np.random.default_rng(0).uniform(0, 224, (68, 2)).astype(np.float32)
    np.testing.assert_allclose(sixty_eight(np.stack([seventy_two(points)])), [points], rtol=1e-6)
    apart = seventy_two(points)
    apart[[48, 50]] += [[2, 0], [2, 0]]  # the corner of the mouth is in both lips, and moved in one
    changed = np.abs(sixty_eight(np.stack([apart]))[0] - points).max(axis=1)
    assert sorted(changed[changed > 0.01].round(3)) == [1.0, 2.0]


def test_what_is_no_number_is_not_told() -> None:
    class Odd:
        def draw_with_landmarks(self, inputs: list[np.ndarray], seed: int = 0) -> Pictures:
            points = np.zeros((2, 68, 2), np.float32)
            points[1, 5, 0] = np.nan
            return Pictures(np.zeros((2, 8, 8, 3), np.uint8), points)

    first, second = draw_faces(Odd(), [])  # type: ignore[arg-type]
    assert first.landmarks is not None
    assert second.landmarks is None


def test_landmarks_travel_in_the_picture_and_change_nothing_that_is_seen() -> None:
    face = np.full((32, 32, 3), 90, np.uint8)
    points = np.linspace(-3, 40, 136, dtype=np.float32).reshape(68, 2)
    with_them = face_png(face, face_metadata("default@1", "ab" * 32, landmarks=points))
    told = json.loads(read_metadata(with_them)[LANDMARKS_KEY])
    assert told["order"] == "ibug68"
    np.testing.assert_allclose(told["points"], points, atol=0.051)
    assert len(read_metadata(with_them)[LANDMARKS_KEY]) < 1200
    read = read_landmarks(with_them[:HEAD_BYTES])
    assert read is not None
    assert [list(point) for point in read.points] == told["points"]
    assert LANDMARKS_KEY not in read_metadata(face_png(face, face_metadata("default@1", "ab" * 32)))
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(with_them))), face)
