"""Gradients reach the networks that should learn, and no others; what is frozen stays as it was to the last bit."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from tests.worker.training.made_up import LENGTH, MadeUp, spec
from tests.worker.training.running import begun, recipe, run
from worker.ml.networks.matching_face_encoder import MatchingFaceEncoder, MatchingFaceEncoderConfig
from worker.ml.networks.matching_speech_encoder import MatchingSpeechEncoder, MatchingSpeechEncoderConfig
from worker.ml.training.task import Task


@pytest.fixture(scope="module")
def matching_models(work: Path) -> dict[str, Path]:
    """Untrained encoders of one space."""
    torch.manual_seed(1)
    networks = {
        "matching-voice": MatchingSpeechEncoder(
            MatchingSpeechEncoderConfig(
                embedding_length=LENGTH, filters=8, filter_length=51, channels=(8, 8), clip_seconds=1.0
            )
        ),
        "matching-face": MatchingFaceEncoder(
            MatchingFaceEncoderConfig(embedding_length=LENGTH, image_size=16, base_channels=4, max_channels=8)
        ),
    }
    for name, network in networks.items():
        network.save_pretrained(work / name)
    return {name: work / name for name in networks}


def learning(task: Task) -> Iterator[tuple[str, nn.Parameter]]:
    for player in task.players:
        for name, one in player.network.named_parameters():
            if one.requires_grad:
                yield f"{player.name}.{name}", one


def backward(task: Task, batch: Any, player: str) -> None:
    for _, one in learning(task):
        one.grad = None
    task.loss(player, batch, torch.Generator().manual_seed(0)).total.backward()


@pytest.mark.parametrize("name", ["face_decoder", "ve_conv", "matching"])
def test_everything_that_is_trained_gets_gradients(made_up: MadeUp, name: str) -> None:
    task, batch = begun(made_up, spec(recipe(name)))
    backward(task, batch, task.players[0].name)
    without = [called for called, one in learning(task) if one.grad is None or not one.grad.any()]
    assert without == []
    for network in task.frozen:
        assert all(one.grad is None and not one.requires_grad for one in network.parameters())


def test_only_the_head_learns_at_first_and_then_all_but_what_stays_frozen(made_up: MadeUp) -> None:
    wanted = spec(recipe("ast", unfreeze=5))
    task, batch = begun(made_up, wanted)
    names = {called.removeprefix("encoder.") for called, _ in learning(task)}
    assert names == {"classifier.dense.weight", "classifier.dense.bias"}
    backward(task, batch, "encoder")
    task.begin_phase("fine_tune")
    every = [name for name, _ in task.players[0].network.named_parameters()]
    assert [called.removeprefix("encoder.") for called, _ in learning(task)] == every[5:]
    backward(task, batch, "encoder")
    reached = [called for called, one in learning(task) if one.grad is not None and one.grad.any()]
    assert len(reached) > 10


def test_the_players_of_a_gan_leave_each_other_alone(
    made_up: MadeUp, matching_models: dict[str, Path]
) -> None:
    task, batch = begun(made_up, spec(recipe("gan")), matching_models)
    discriminator, generator = (player.network for player in task.players)
    for player, learns, rests in (
        ("discriminator", discriminator, generator),
        ("generator", generator, discriminator),
    ):
        backward(task, batch, player)
        assert all(one.grad is not None and one.grad.any() for one in learns.parameters())
        assert all(one.grad is None for one in rests.parameters())
        assert all(one.requires_grad for one in rests.parameters())


def test_a_discriminator_that_starts_from_the_face_encoder_has_its_trunk_and_its_head(
    made_up: MadeUp, matching_models: dict[str, Path]
) -> None:
    wanted = recipe("gan", face_encoder="matching-face", discriminator_sizes={})
    task, _ = begun(made_up, spec(wanted), matching_models)
    encoder = MatchingFaceEncoder.from_pretrained(matching_models["matching-face"], "cpu")
    discriminator: Any = task.players[0].network
    for name, tensor in encoder.trunk.state_dict().items():
        assert torch.equal(tensor, discriminator.trunk.state_dict()[name])
    assert torch.equal(discriminator.projection.weight, encoder.head.weight)
    # It is a copy: teaching one does not change the other.
    assert discriminator.trunk.first.weight.data_ptr() != task.frozen[1].trunk.first.weight.data_ptr()  # type: ignore[union-attr,operator]


def test_the_identity_term_teaches_the_decoder_through_the_frozen_encoder_and_the_originals_does_not(
    made_up: MadeUp,
) -> None:
    alone = {"landmarks_weight": 0, "texture_weight": 0, "identity_weight": 1}
    ours, batch = begun(made_up, spec(recipe("face_decoder", **alone)))
    backward(ours, batch, "decoder")
    textures = [one.grad for name, one in learning(ours) if ".texture_layers." in name]
    assert textures and all(grad is not None and grad.any() for grad in textures)

    theirs, batch = begun(made_up, spec(recipe("face_decoder", compat="original", **alone)))
    backward(theirs, batch, "decoder")
    assert not any(one.grad is not None and one.grad.any() for _, one in learning(theirs))


@pytest.mark.parametrize("name", ["face_decoder", "ve_conv", "gan", "pretrained"])
def test_what_is_frozen_is_the_same_to_the_last_bit_after_a_training(
    made_up: MadeUp, matching_models: dict[str, Path], tmp_path: Path, name: str
) -> None:
    wanted = (
        recipe("matching", features="pretrained", face_encoder="vgg_face", sizes={}, face_sizes={})
        if name == "pretrained"
        else recipe(name)
    )
    loop = {"epochs": 1, "batch": 8, "optimiser": {"learning_rate": 0.01, "weight_decay": 0.1}}
    before, _ = begun(made_up, spec({**wanted, "loop": loop}), matching_models)
    done = run(made_up, tmp_path, spec({**wanted, "loop": loop}), matching_models)
    frozen: list[tuple[nn.Module, nn.Module]] = list(zip(before.frozen, done.task.frozen, strict=True))
    assert frozen
    for untouched, used in frozen:
        for one, other in zip(untouched.state_dict().values(), used.state_dict().values(), strict=True):
            assert torch.equal(one, other)
    # Nor is it part of what is kept in checkpoints.
    held = {id(one) for player in done.task.players for one in player.network.parameters()}
    assert not any(id(one) in held for network in done.task.frozen for one in network.parameters())
    trained = zip(learning(before), learning(done.task), strict=True)
    assert all(not torch.equal(one, other) for (_, one), (_, other) in trained)
