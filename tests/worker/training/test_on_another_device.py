"""Every task computes where it is told to: its losses, validations and pictures.

Machines that run tests have no GPU. Torch's device `meta` stands in for one: it computes shapes and no numbers, and
refuses to mix its tensors with others. Wherever a program looks at numbers it is given zeros; what they come to means
nothing here.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.fx.experimental._config as fx_config

from tests.worker.training.made_up import FACE_SIZES, SPEECH_SIZES, MadeUp, spec
from tests.worker.training.running import build, recipe
from worker.ml.networks.matching_face_encoder import MatchingFaceEncoder, MatchingFaceEncoderConfig
from worker.ml.networks.matching_speech_encoder import MatchingSpeechEncoder, MatchingSpeechEncoderConfig
from worker.ml.training import seeds
from worker.ml.training.loader import Readers, to_device
from worker.ml.training.samples import Samples
from worker.ml.training.state import Place
from worker.ml.training.task import World
from worker.training import gan

META = torch.device("meta")
TASKS: dict[str, dict[str, Any]] = {
    "face_decoder": recipe("face_decoder", face_encoder="vgg_face", identity_weight=1.0),
    "face_decoder, warping": recipe("face_decoder", face_encoder="vgg_face", warp=True),
    "ve_conv": recipe("ve_conv"),
    "ve_conv, as the original": recipe("ve_conv", compat="original", pairing={"face": "first"}),
    "ast": recipe("ast"),
    "matching": recipe("matching"),
    "matching, within a gender": recipe("matching", negatives=4, mix="same", group="gender"),
    "heads": recipe(
        "matching",
        features="pretrained",
        voice_encoder="matching-voice",
        face_encoder="vgg_face",
        sizes={"embedding_length": 12},
        face_sizes={},
    ),
    "gan": recipe("gan"),
    "gan, from the face encoder": recipe("gan", face_encoder="face", discriminator_sizes={}),
    "gan, hinge": recipe("gan", objective="hinge", r1_weight=0),
}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("encoders")
    speech = MatchingSpeechEncoder(MatchingSpeechEncoderConfig(**SPEECH_SIZES, embedding_space="s"))
    faces = MatchingFaceEncoder(MatchingFaceEncoderConfig(**FACE_SIZES, embedding_space="s"))
    speech.save_pretrained(folder / "voice")
    faces.save_pretrained(folder / "face")
    return {"matching-voice": folder / "voice", "face": folder / "face"}


@pytest.fixture
def zeros_for_numbers(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a program sees of tensors without numbers."""
    as_it_is = torch.Tensor.cpu

    def beside(tensor: torch.Tensor) -> torch.Tensor:
        return torch.zeros_like(tensor, device="cpu") if tensor.is_meta else as_it_is(tensor)

    monkeypatch.setattr(torch.Tensor, "cpu", beside)
    for name in ("__bool__", "__float__", "item", "tolist"):
        plain = getattr(torch.Tensor, name)
        monkeypatch.setattr(torch.Tensor, name, lambda tensor, plain=plain: plain(beside(tensor)))
    # Whose voice is whose, a generator without numbers cannot tell.
    monkeypatch.setattr(gan, "other_identities", lambda whose, random: torch.zeros_like(whose))
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())
    monkeypatch.setattr(torch, "is_autocast_enabled", lambda *_: False)
    with fx_config.patch(meta_nonzero_assume_all_nonzero=True):  # rows that are chosen: all of them
        yield


@pytest.mark.usefixtures("zeros_for_numbers")
@pytest.mark.parametrize("name", TASKS)
def test_a_task_computes_where_it_is_told_to(made_up: MadeUp, models: dict[str, Path], name: str) -> None:
    task, phases = build(made_up, spec(TASKS[name]), models)
    world = World(META)
    for network in (*(player.network for player in task.players), *task.frozen):
        network.to(META)
    task.begin(world)
    task.begin_phase(phases[0].name)
    with Readers(1) as readers:
        samples = Samples(task, phases, World(torch.device("cpu")), readers, seed=0)
        training, validation = samples.training(Place()), samples.validation(Place())
        assert validation is not None
        batch, other = (to_device(next(loader), META) for loader in (training, validation))
        samples.close()
        training.close()
        validation.close()
    for player in task.players:
        terms = task.loss(player.name, batch, seeds.enter_update(0, 0, 0, 0, 0, 0))
        terms.total.backward()
        assert {one.device.type for one in (terms.total, *terms.parts.values())} == {"meta"}
        gradients = [one.grad for one in player.network.parameters() if one.grad is not None]
        assert gradients and {one.device.type for one in gradients} == {"meta"}
    with torch.no_grad():
        values = task.validate(other, seeds.enter_validation(0, 0))
        assert task.best_by in values
        for panel in task.panels(other, seeds.enter_panels(0)):
            assert len(panel.pictures) == len(panel.titles)
