"""What frozen encoders answered before a training was stopped is not asked for again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from tests.worker.training.made_up import MadeUp, spec
from tests.worker.training.running import recipe, run
from worker.ml.networks.matching_speech_encoder import MatchingSpeechEncoder
from worker.ml.training.failures import Stopped

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
