"""Faces from a voice's embedding and noise: each decides something, and a seed decides the noise."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from worker.ml.networks.conditional_generator import ConditionalGenerator, ConditionalGeneratorConfig
from worker.ml.networks.residual import Conditioning

TINY = ConditionalGeneratorConfig(
    embedding_length=6, noise_length=5, image_size=16, base_channels=4, max_channels=8
)
STRONGER: tuple[Conditioning, ...] = ("batch_norm", "adain")


def generator(config: ConditionalGeneratorConfig = TINY) -> ConditionalGenerator:
    torch.manual_seed(0)
    network = ConditionalGenerator(config).eval()
    with torch.no_grad():
        network.last.weight.mul_(20)  # untrained, it would paint everything the same grey
    return network


def conditioned(kind: Conditioning) -> ConditionalGenerator:
    return generator(ConditionalGeneratorConfig(**{**vars(TINY), "conditioning": kind}))


def test_every_layer_has_the_shape_of_the_specification() -> None:
    network = ConditionalGenerator(ConditionalGeneratorConfig())
    shapes: list[tuple[int, ...]] = []

    def remember(module: nn.Module, inputs: object, output: torch.Tensor) -> None:
        shapes.append(tuple(output.shape[1:]))

    for module in [network.first, *network.blocks, network.last]:
        module.register_forward_hook(remember)
    with torch.no_grad():
        faces = network(torch.randn(1, 128), torch.randn(1, 128))
    # Each block before its enlargement.
    assert shapes == [
        (8192,),
        (512, 4, 4),
        (512, 8, 8),
        (256, 16, 16),
        (128, 32, 32),
        (64, 64, 64),
        (64, 128, 128),
        (3, 128, 128),
    ]
    assert faces.shape == (1, 3, 128, 128)
    assert float(faces.abs().max()) <= 1.0


def test_the_default_size_has_14_1_million_parameters() -> None:
    expected = 256 * 8192 + 8192 + 64 * 3 * 9 + 3
    for inside, outside in ((512, 512), (512, 512), (512, 256), (256, 128), (128, 64), (64, 64)):
        hidden = min(inside, outside)
        expected += 9 * inside * hidden + hidden + 9 * hidden * outside + outside
        expected += inside * outside if inside != outside else 0
    network = ConditionalGenerator(ConditionalGeneratorConfig())
    assert sum(one.numel() for one in network.parameters()) == expected == 14_115_523


@pytest.mark.parametrize("kind", ["input", *STRONGER])
def test_a_seed_decides_the_noise_and_every_row_gets_the_same(kind: Conditioning) -> None:
    network = conditioned(kind)
    voices = torch.randn(3, 6, generator=torch.Generator().manual_seed(1))
    same_voice = voices[:1].expand(3, -1)
    one = network.decode(same_voice, seed=4).pictures
    assert one.shape == (3, 16, 16, 3) and one.dtype == np.uint8
    assert np.array_equal(one[0], one[1]) and np.array_equal(one[0], one[2])
    assert np.array_equal(one, network.decode(same_voice, seed=4).pictures)
    assert not np.array_equal(one, network.decode(same_voice, seed=5).pictures)
    others = network.decode(voices, seed=4).pictures
    assert np.array_equal(others[0], one[0])
    assert not np.array_equal(others[0], others[1])
    assert network.takes_noise and network.image_size == 16


def test_the_global_generator_is_left_alone() -> None:
    network = generator()
    torch.manual_seed(7)
    expected = torch.randn(3)
    torch.manual_seed(7)
    network.decode(torch.ones(2, 6), seed=3)
    assert torch.equal(torch.randn(3), expected)


def test_a_picture_does_not_depend_on_the_rest_of_the_batch() -> None:
    network = generator()
    voices = torch.randn(67, 6, generator=torch.Generator().manual_seed(2))
    together = network.decode(voices).pictures.astype(int)
    alone = np.concatenate([network.decode(row[None]).pictures for row in voices]).astype(int)
    assert np.abs(together - alone).max() <= 1


def test_only_the_direction_of_a_condition_counts() -> None:
    network, voice = generator(), torch.randn(1, 6)
    assert np.array_equal(network.decode(voice).pictures, network.decode(voice * 50).pictures)


def test_grey_levels_cover_the_whole_range() -> None:
    network = generator()
    with torch.no_grad():
        network.last.weight.zero_()
        for level, expected in ((9.0, 255), (0.0, 128), (-9.0, 0)):
            network.last.bias.fill_(level)
            assert np.unique(network.decode(torch.ones(1, 6)).pictures).tolist() == [expected]


@pytest.mark.parametrize("kind", STRONGER)
def test_stronger_conditioning_lets_the_condition_act_in_every_block(kind: Conditioning) -> None:
    network = conditioned(kind).train()
    conditions = torch.randn(4, 6, requires_grad=True)
    with torch.no_grad():
        network.first.weight.zero_()  # only the norms are left to tell one condition from another
    faces = network(torch.zeros(4, 5), conditions)
    assert float((faces[0] - faces[1]).detach().abs().max()) > 1e-3
    faces.square().sum().backward()
    for block in network.blocks:
        for norm in block.norms:
            assert norm.gain_and_bias.weight.grad.any()


def test_the_plain_generator_has_no_norms() -> None:
    assert not any("norm" in name for name in generator().state_dict())


def test_a_saved_generator_comes_back_as_it_was(tmp_path: Path) -> None:
    network = conditioned("batch_norm")
    network.save_pretrained(tmp_path)
    again = ConditionalGenerator.from_pretrained(tmp_path, "cpu")
    assert again.config == network.config
    voices = torch.randn(2, 6)
    assert np.array_equal(again.decode(voices, 3).pictures, network.decode(voices, 3).pictures)


def test_an_unknown_conditioning_is_refused() -> None:
    with pytest.raises(ValueError, match="no conditioning 'film'"):
        ConditionalGenerator(ConditionalGeneratorConfig(conditioning="film"))  # type: ignore[arg-type]
