"""What frozen encoders answered before a training was stopped is not asked for again."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from core.training.parts import Augmentation
from tests.worker.training.made_up import MadeUp, spec
from tests.worker.training.running import recipe, run
from worker.ml.dataset_reader import PreparedDataset
from worker.ml.model_folders import find_model
from worker.ml.networks.ge2e import GE2E
from worker.ml.networks.matching_speech_encoder import MatchingSpeechEncoder
from worker.ml.training import collectives
from worker.ml.training.failures import Stopped
from worker.ml.training.task import World
from worker.training.frozen_features import FrozenFeatures, voice_views

EPOCHS = {"loop": {"epochs": 2, "batch": 8}}


@pytest.fixture(scope="module")
def voices(made_up: MadeUp, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("matching")
    run(made_up, folder, spec(recipe("matching", loop={"epochs": 1, "batch": 8})))
    return {"matching-voice": folder / "model" / "voice"}


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many waveforms each call of the encoder was given."""
    counts: list[int] = []
    encode = MatchingSpeechEncoder.encode

    def counted(self: MatchingSpeechEncoder, waveforms: Any, *arguments: Any) -> Any:
        counts.append(len(waveforms))
        return encode(self, waveforms, *arguments)

    monkeypatch.setattr(MatchingSpeechEncoder, "encode", counted)
    return counts


def weights(folder: Path) -> dict[str, bytes]:
    return {
        f"{path.parent.name}/{name}": tensor.numpy().tobytes()
        for path in folder.glob("model/*/model.safetensors")
        for name, tensor in load_file(path).items()
    }


def test_a_training_that_goes_on_listens_to_nobody_again_and_ends_the_same(
    made_up: MadeUp, voices: dict[str, Path], heard: list[int], tmp_path: Path
) -> None:
    wanted = spec(recipe("gan", **EPOCHS, augmentation={"noise_db": 20}))
    run(made_up, tmp_path / "whole", wanted, voices)
    everybody = sum(heard)
    assert everybody > 0
    heard.clear()
    asked = iter([False] * 9 + [True])
    with pytest.raises(Stopped):
        run(made_up, tmp_path / "parts", wanted, voices, should_stop=lambda: next(asked, False))
    assert sum(heard) == everybody
    heard.clear()
    run(made_up, tmp_path / "parts", wanted, voices)
    assert heard == []
    assert weights(tmp_path / "parts") == weights(tmp_path / "whole")


def test_damaged_ones_and_those_of_other_views_are_worked_out_anew(
    made_up: MadeUp, voices: dict[str, Path], heard: list[int], tmp_path: Path
) -> None:
    wanted = spec(recipe("gan", loop={"epochs": 1, "batch": 8}))
    run(made_up, tmp_path / "one", wanted, voices)
    everybody = sum(heard)
    (kept,) = (tmp_path / "one" / "kept").iterdir()
    (tmp_path / "other" / "kept").mkdir(parents=True)
    copy = tmp_path / "other" / "kept" / kept.name
    copy.write_bytes(kept.read_bytes())
    heard.clear()
    louder = spec(recipe("gan", loop={"epochs": 1, "batch": 8}, augmentation={"gain_db": 6}))
    run(made_up, tmp_path / "other", louder, voices)
    assert sum(heard) >= everybody, "another augmentation is another view"
    damaged = bytearray(kept.read_bytes())
    damaged[-3] ^= 1
    (tmp_path / "third" / "kept").mkdir(parents=True)
    (tmp_path / "third" / "kept" / kept.name).write_bytes(bytes(damaged))
    heard.clear()
    run(made_up, tmp_path / "third", wanted, voices)
    assert sum(heard) == everybody
    assert weights(tmp_path / "third") == weights(tmp_path / "one")


def test_another_host_gets_what_the_first_has_kept_and_listens_where_it_has_nothing(
    made_up: MadeUp,
    voices: dict[str, Path],
    heard: list[int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    encoder = MatchingSpeechEncoder.from_pretrained(voices["matching-voice"], "cpu")
    dataset = PreparedDataset.open(made_up.dataset)
    entries = [entry for entry in dataset.entries if entry.side == "voice"][:6]
    views = voice_views(dataset, Augmentation(crop=False), 0)
    first, other = tmp_path / "first", tmp_path / "other"

    def on(world: World) -> np.ndarray:
        features = FrozenFeatures(encoder, entries, views, world, said=("these",))
        return np.stack([features.read(entry, None) for entry in entries])

    def copied(path: Path) -> None:
        path.parent.mkdir()
        shutil.copy(first / path.name, path)

    first.mkdir()
    follower = World(torch.device("cpu"), 1, 2, kept=other)
    monkeypatch.setattr(collectives, "copy_from_first", copied)
    monkeypatch.setattr(collectives, "from_first", lambda mine: False)
    alone = on(follower)
    assert sum(heard) == 6 and not other.exists()
    monkeypatch.setattr(collectives, "from_first", lambda mine: mine)
    monkeypatch.setattr(collectives, "copy_from_first", lambda path: None)
    leading = on(World(torch.device("cpu"), 0, 2, kept=first))
    heard.clear()
    monkeypatch.setattr(collectives, "copy_from_first", copied)
    monkeypatch.setattr(collectives, "from_first", lambda mine: True)
    assert np.array_equal(on(follower), leading) and np.array_equal(alone, leading)
    assert heard == []


def test_what_the_default_models_voice_encoder_hears_is_kept_as_well(
    made_up: MadeUp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = GE2E.from_default_model(find_model("default"))
    dataset = PreparedDataset.open(made_up.dataset)
    entries = [entry for entry in dataset.entries if entry.side == "voice"][:2]
    views = voice_views(dataset, Augmentation(crop=False), 0)
    world = World(torch.device("cpu"), kept=tmp_path)
    heard = FrozenFeatures(encoder, entries, views, world, said=()).all_views(entries)
    monkeypatch.delattr(GE2E, "encode")
    assert torch.equal(FrozenFeatures(encoder, entries, views, world, said=()).all_views(entries), heard)
