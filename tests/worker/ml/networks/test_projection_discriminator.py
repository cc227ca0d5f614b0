"""The discriminator judges a face by itself and together with a voice, from where the face encoder left off."""

from __future__ import annotations

from pathlib import Path

import torch

from worker.ml.networks.face_trunk import FaceTrunk
from worker.ml.networks.matching_face_encoder import MatchingFaceEncoder, MatchingFaceEncoderConfig
from worker.ml.networks.projection_discriminator import (
    ProjectionDiscriminator,
    ProjectionDiscriminatorConfig,
)

FACE = MatchingFaceEncoderConfig(embedding_length=6, image_size=16, base_channels=4, max_channels=8)
TINY = ProjectionDiscriminatorConfig(embedding_length=6, image_size=16, base_channels=4, max_channels=8)


def faces(seed: int, rows: int = 3) -> torch.Tensor:
    return torch.rand(rows, 3, 16, 16, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def test_a_score_is_realness_plus_the_product_with_the_direction_of_the_condition() -> None:
    network, conditions = ProjectionDiscriminator(TINY), torch.randn(3, 6)
    features = network.trunk(faces(0))
    w, u = network.realness.weight[0], network.projection.weight
    rows = zip(features, conditions, strict=True)
    expected = torch.stack([w @ h + (u @ h) @ (c / c.norm()) for h, c in rows])
    torch.testing.assert_close(network(faces(0), conditions), expected)
    torch.testing.assert_close(network(faces(0), 9 * conditions), network(faces(0), conditions))
    torch.testing.assert_close(network.scores(features, conditions), network(faces(0), conditions))


def test_its_size_is_that_of_the_trunk_and_two_linear_maps() -> None:
    network = ProjectionDiscriminator(ProjectionDiscriminatorConfig())
    assert sum(one.numel() for one in network.parameters()) == 12_010_688 + 8192 + 8192 * 128


def test_it_begins_as_a_copy_of_the_face_encoders_trunk_and_learns_on_its_own() -> None:
    encoder = MatchingFaceEncoder(FACE).requires_grad_(False).eval()
    network = ProjectionDiscriminator.from_face_encoder(encoder)
    assert isinstance(network.trunk, FaceTrunk) and network.config == TINY
    assert torch.equal(network.trunk(faces(1)), encoder.trunk(faces(1)))
    assert network.training and all(one.requires_grad for one in network.parameters())
    before = encoder.trunk(faces(1))
    network(faces(1), torch.randn(3, 6)).sum().backward()
    torch.optim.SGD(network.parameters(), lr=1.0).step()
    assert torch.equal(encoder.trunk(faces(1)), before)
    assert not torch.equal(network.trunk(faces(1)), before)


def test_with_the_encoders_head_matching_faces_begin_ahead() -> None:
    encoder = MatchingFaceEncoder(FACE).eval()
    network = ProjectionDiscriminator.from_face_encoder(encoder, with_head=True)
    features = network.trunk(faces(2))
    expected = encoder.head(encoder.trunk(faces(2))) - encoder.head.bias
    torch.testing.assert_close(network.projection(features), expected)
    assert not torch.equal(
        ProjectionDiscriminator.from_face_encoder(encoder).projection.weight, encoder.head.weight
    )


def test_a_saved_discriminator_comes_back_as_it_was(tmp_path: Path) -> None:
    network, conditions = ProjectionDiscriminator(TINY), torch.randn(3, 6)
    network.save_pretrained(tmp_path)
    again = ProjectionDiscriminator.from_pretrained(tmp_path, "cpu")
    assert torch.equal(again(faces(3), conditions), network(faces(3), conditions))
