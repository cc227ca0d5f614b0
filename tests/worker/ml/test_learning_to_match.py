"""On people that never were: who matches whom is learned without labels, and drawing from that begins to be learned.

Everything is judged on people of whom nothing was seen or heard in training.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

import pytest
import torch

from tests.worker.ml.synthetic_people import clips, people
from worker.ml.losses.adversarial import (
    Form,
    discriminator_loss,
    generator_loss,
    other_identities,
    r1_penalty,
)
from worker.ml.losses.matching import matching_loss
from worker.ml.networks.conditional_generator import ConditionalGenerator, ConditionalGeneratorConfig
from worker.ml.networks.matching_face_encoder import MatchingFaceEncoder, MatchingFaceEncoderConfig
from worker.ml.networks.matching_speech_encoder import MatchingSpeechEncoder, MatchingSpeechEncoderConfig
from worker.ml.networks.projection_discriminator import ProjectionDiscriminator

SIZE, LENGTH = 16, 16
VOICE = MatchingSpeechEncoderConfig(
    embedding_length=LENGTH,
    filters=24,
    filter_length=101,
    filter_stride=16,
    front_norm="clip",
    channels=(32, 32),
)
FACE = MatchingFaceEncoderConfig(embedding_length=LENGTH, image_size=SIZE, base_channels=12, max_channels=32)
Encoders = tuple[MatchingSpeechEncoder, MatchingFaceEncoder]


@pytest.fixture(scope="module")
def trained() -> Iterator[Encoders]:
    """Both encoders after 110 batches of 64."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # on tensors this small a second thread only waits for the first
    torch.manual_seed(0)
    speech, face = MatchingSpeechEncoder(VOICE), MatchingFaceEncoder(FACE)
    known = clips(people(512, seed=0), seed=1, size=SIZE)
    voices, faces = torch.from_numpy(known.voices), torch.from_numpy(known.faces)
    optimiser = torch.optim.Adam(chain(speech.parameters(), face.parameters()))
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 1e-2, total_steps=110)
    for _ in range(110):
        batch = torch.randperm(len(voices))[:64]
        loss = matching_loss(face(faces[batch]), speech(voices[batch]), scale=speech.scale).total
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    yield speech.eval().requires_grad_(False), face.eval().requires_grad_(False)
    torch.set_num_threads(threads)


def ways_right(scores: torch.Tensor, ways: int) -> float:
    """How often the match, on the diagonal, is the highest of `ways` candidates drawn from a query's row."""
    matches = scores.diagonal()[:, None]
    beaten = (matches > scores).float().sum(dim=1) / (len(scores) - 1)
    return float((beaten ** (ways - 1)).mean())


def test_unseen_voices_and_faces_find_each_other(trained: Encoders) -> None:
    speech, face = trained
    unseen = clips(people(200, seed=2), seed=3, size=SIZE)
    scores = speech(torch.from_numpy(unseen.voices)) @ face(torch.from_numpy(unseen.faces)).T
    for direction in (scores, scores.T):
        assert ways_right(direction, 2) > 0.9
        assert ways_right(direction, 10) > 0.5
        # The same faces, each with a stranger's voice: chance.
        assert ways_right(direction.roll(1, dims=0), 2) == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize("form", ["relativistic", "relativistic_average", "standard"])
def test_a_few_steps_of_the_adversarial_game_teach_the_generator(trained: Encoders, form: Form) -> None:
    speech, face = trained
    torch.manual_seed(1)
    draw = torch.Generator().manual_seed(1)
    critic = ProjectionDiscriminator.from_face_encoder(face)
    generator = ConditionalGenerator(
        ConditionalGeneratorConfig(
            embedding_length=LENGTH, noise_length=8, image_size=SIZE, base_channels=12, max_channels=32
        )
    )
    known = clips(people(24, seed=4), seed=5, size=SIZE)
    real = torch.from_numpy(known.faces).requires_grad_()
    conditions = speech(torch.from_numpy(known.voices))
    identities = torch.arange(len(real))
    critic_steps = torch.optim.RMSprop(critic.parameters(), lr=1e-3)
    generator_steps = torch.optim.RMSprop(generator.parameters(), lr=1e-3)

    def criticise() -> None:
        others = conditions[other_identities(identities, draw)]
        drawn = generator(generator.noise(len(real), draw), conditions).detach()
        features = critic.trunk(real)
        scores = critic.scores(features, conditions)
        terms = discriminator_loss(
            scores, critic(drawn, conditions), critic.scores(features, others), form=form
        )
        critic_steps.zero_grad()
        (terms.total + r1_penalty(scores, real)).backward()
        assert_all_learn(critic)
        critic_steps.step()

    def loss_of_drawing(noise: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
        features = critic.trunk(generator(noise, conditions))
        return generator_loss(
            critic(real, conditions).detach(),
            critic.scores(features, conditions),
            critic.scores(features, others),
            form=form,
        ).total

    def learn_to_draw(noise: torch.Tensor, others: torch.Tensor) -> None:
        loss = loss_of_drawing(noise, others)
        generator_steps.zero_grad()
        loss.backward()
        assert_all_learn(generator)
        generator_steps.step()

    for _ in range(4):
        criticise()
        learn_to_draw(generator.noise(len(real), draw), conditions[other_identities(identities, draw)])
    # Against a critic that holds still, drawing gets better, and for noise that was never tried as well.
    fresh, fresh_others = generator.noise(len(real), draw), conditions[other_identities(identities, draw)]
    before = loss_of_drawing(fresh, fresh_others).item()
    for _ in range(6):
        learn_to_draw(generator.noise(len(real), draw), conditions[other_identities(identities, draw)])
    assert loss_of_drawing(fresh, fresh_others).item() < before


def assert_all_learn(network: torch.nn.Module) -> None:
    for name, one in network.named_parameters():
        assert one.grad is not None, name
        assert torch.isfinite(one.grad).all(), name
        assert one.grad.any(), name
