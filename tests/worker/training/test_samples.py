"""What samples are made of: whose voice with whose face, which features, and changes that fit together."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from core.training.parts import Augmentation
from tests.worker.training.made_up import MadeUp, spec
from tests.worker.training.running import begun, recipe, run
from tests.worker.training.test_resuming import StopAt
from worker.ml.dataset_reader import PreparedDataset
from worker.ml.networks.vgg_face import VGGFace
from worker.ml.training.events import Progress
from worker.ml.training.failures import Stopped
from worker.training.checks import entries_of
from worker.training.matching_accuracy import accuracies
from worker.training.sources import FaceSource, Pictures, choose_entries, turns_of


@pytest.fixture(scope="module")
def dataset(made_up: MadeUp) -> PreparedDataset:
    return PreparedDataset.open(made_up.dataset)


def test_mirrored_faces_have_their_landmarks_and_embeddings_of_their_own(made_up: MadeUp) -> None:
    _, batch = begun(made_up, spec(recipe("face_decoder", augmentation={"flip": False})))
    mirrored, changed = begun(made_up, spec(recipe("face_decoder")))
    rows = changed["changed"]
    assert not batch["changed"].any() and rows.any() and not rows.all()
    assert torch.equal(changed["picture"][rows], batch["picture"][rows].flip(2))
    across = changed["landmarks"][rows].view(-1, 72, 2)[:, :, 0].sum(dim=1)
    assert torch.allclose(
        across, 72 * 31 - batch["landmarks"][rows].view(-1, 72, 2)[:, :, 0].sum(dim=1), atol=0.1
    )
    task: Any = mirrored
    used = task._embeddings(changed)
    encoder = VGGFace.from_pretrained(made_up.models["vgg_face"], "cpu")
    anew = encoder.encode([picture.numpy() for picture in changed["picture"]])
    assert torch.allclose(used, anew, atol=1e-4)
    assert torch.equal(used[~rows], batch["embedding"][~rows])
    assert not torch.allclose(used[rows], batch["embedding"][rows], atol=1e-4)


def test_voice_and_face_are_of_different_clips_where_there_are_several(dataset: PreparedDataset) -> None:
    turns = turns_of(dataset, dataset.split("train"), every_voice=False)
    assert len(turns) == len(dataset.split("train"))
    seen = set()
    for seed in range(20):
        voice, face = choose_entries(*turns[0], np.random.default_rng(seed))
        assert voice.person == face.person
        assert voice.key.removesuffix(".wav") != face.key.removesuffix(".png")
        seen.add(voice.key)
    assert len(seen) == 2
    alone = [replace(face, key=turns[0][0][0].key.replace("wav", "png")) for face in turns[0][1][:1]]
    assert choose_entries(turns[0][0][:1], alone, np.random.default_rng(0))[1] is alone[0]
    assert len(turns_of(dataset, dataset.split("train"), every_voice=True)) == 2 * len(turns)


def test_kept_spectrograms_and_those_made_of_waveforms_are_the_same(made_up: MadeUp) -> None:
    task: Any
    task, batch = begun(made_up, spec(recipe("ve_conv")))
    entry = entries_of(PreparedDataset.open(made_up.dataset), "voice", "train")[0]
    made = task.features_of([task._dataset.array(entry, "waveform")])[0].numpy()
    assert np.abs(made - task._dataset.array(entry, "ve_conv")).max() < 1e-3
    short = {**recipe("ve_conv")["sizes"], "seconds": 1.0}
    _, other = begun(made_up, spec(recipe("ve_conv", sizes=short)))
    assert batch["features"].shape[3] == 601 and other["features"].shape[3] == 101


def test_filter_banks_are_normalised_by_the_numbers_of_the_dataset(made_up: MadeUp) -> None:
    task: Any
    task, _ = begun(made_up, spec(recipe("ast")))
    statistics = task._dataset.description["statistics"]["ast"]
    config = task.players[0].network.config
    assert (config.mean, config.std) == pytest.approx((statistics["mean"], statistics["std"]))
    entry = entries_of(task._dataset, "voice", "train")[0]
    kept = torch.from_numpy(task._dataset.array(entry, "ast"))[None]
    made = task.features_of([task._dataset.array(entry, "waveform")])
    assert (made - kept).abs().max() < 1e-2
    assert torch.allclose(task.prepared(kept), (kept - config.mean) / (2 * config.std))


def test_the_originals_head_starts_large_and_ours_small(made_up: MadeUp) -> None:
    deviations = {}
    for compat in (None, "original"):
        changes = {"compat": compat, "pairing": {"face": "first"}}
        task: Any = begun(made_up, spec(recipe("ast", **changes)))[0]
        dense = task.players[0].network.classifier.dense.requires_grad_(False)
        deviations[compat] = float(dense.weight.std()), float(dense.bias.abs().max())
    assert deviations[None][0] < 0.03 and deviations[None][1] == 0
    assert deviations["original"][0] > 0.7 and deviations["original"][1] > 0.5


def test_a_head_that_was_stopped_goes_on_as_a_head(made_up: MadeUp, tmp_path: Any) -> None:
    wanted = spec(recipe("ast"))
    before: Any = begun(made_up, wanted)[0]
    kept = {name: tensor.clone() for name, tensor in before.players[0].network.state_dict().items()}
    for _ in range(2):
        with pytest.raises(Stopped):
            run(made_up, tmp_path, wanted, should_stop=StopAt(1))
    checkpoint = load_file(max((tmp_path / "checkpoints").glob("0*.safetensors")))
    trained = {name for name, tensor in kept.items() if not torch.equal(_held(checkpoint, name), tensor)}
    assert trained == {"classifier.dense.weight", "classifier.dense.bias"}
    done = run(made_up, tmp_path, wanted)
    phases = [event.phase for event in done.events if isinstance(event, Progress) and event.phase]
    assert phases[0] == "head" and phases[-1] == "fine_tune"


def _held(checkpoint: dict[str, torch.Tensor], name: str) -> torch.Tensor:
    """A tensor of the network in a checkpoint, whatever stands before its name."""
    (found,) = (key for key in checkpoint if key.startswith("network") and key.endswith(name))
    return checkpoint[found]


def test_decoded_pictures_are_kept_as_long_as_there_is_room(dataset: PreparedDataset) -> None:
    entries = entries_of(dataset, "face", "train")[:3]
    size = dataset.picture(entries[0]).nbytes
    pictures = Pictures(dataset, kept_bytes=2 * size)
    first = [pictures.read(entry) for entry in entries]
    again = [pictures.read(entry) for entry in entries]
    assert [one is other for one, other in zip(first, again, strict=True)] == [True, True, False]
    source = FaceSource(dataset, entries, pictures, Augmentation(brightness=0.5))
    source.read(0, np.random.default_rng(0))
    assert np.array_equal(pictures.read(entries[0]), dataset.picture(entries[0]))


def test_accuracies_are_what_drawing_negatives_would_give_on_average() -> None:
    draw = np.random.default_rng(0)
    scores = torch.from_numpy(draw.normal(size=(40, 40)) + 1.5 * np.eye(40))
    identities = torch.arange(40) // 2
    worked_out = accuracies(scores, identities)
    drawn = {2: 0, 10: 0}
    rounds = 4000
    for ways in drawn:
        for _ in range(rounds):
            query = int(draw.integers(40))
            others = np.flatnonzero(identities.numpy() != int(identities[query]))
            negatives = draw.choice(others, ways - 1, replace=False)
            drawn[ways] += bool((scores[query, negatives] < scores[query, query]).all())
    for ways, right in drawn.items():
        assert worked_out[f"matching.voice_to_face.{ways}"] == pytest.approx(right / rounds, abs=0.03)
    assert accuracies(torch.eye(4), torch.zeros(4))["matching.face_to_voice.10"] == 0.1


def test_guesses_are_found_as_often_as_chance_says_also_in_a_small_batch() -> None:
    draw = torch.Generator().manual_seed(0)
    batches = [torch.rand(16, 16, generator=draw) for _ in range(300)]
    found = [accuracies(scores, torch.arange(16)) for scores in batches]
    for ways in (2, 10):
        told = np.mean([one[f"matching.voice_to_face.{ways}"] for one in found])
        assert told == pytest.approx(1 / ways, rel=0.06)
    # Every score the same is a guess as well, and four are too few to choose ten of.
    assert accuracies(torch.zeros(16, 16), torch.arange(16))["matching.voice_to_face.10"] == pytest.approx(
        0.1
    )
    few = accuracies(torch.eye(4), torch.arange(4))
    assert few["matching.voice_to_face.10"] == 1.0
