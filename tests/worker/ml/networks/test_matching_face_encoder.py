"""A face's embedding, from a picture of any size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import nn

from worker.ml.networks.face_trunk import trunk_channels
from worker.ml.networks.matching_face_encoder import MatchingFaceEncoder, MatchingFaceEncoderConfig
from worker.ml.networks.residual import ResidualBlock

TINY = MatchingFaceEncoderConfig(embedding_length=12, image_size=16, base_channels=4, max_channels=8)


def encoder(config: MatchingFaceEncoderConfig = TINY) -> MatchingFaceEncoder:
    torch.manual_seed(0)
    return MatchingFaceEncoder(config).eval()


def picture(seed: int, height: int = 16, width: int = 16) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_every_layer_has_the_shape_of_the_specification() -> None:
    network = encoder(MatchingFaceEncoderConfig())
    shapes: list[tuple[int, ...]] = []

    def remember(module: nn.Module, inputs: object, output: torch.Tensor) -> None:
        shapes.append(tuple(output.shape[1:]))

    for module in [network.trunk.first, *network.trunk.blocks, network.head]:
        module.register_forward_hook(remember)
    with torch.no_grad():
        network(torch.zeros(1, 3, 128, 128))
    assert shapes == [
        (64, 128, 128),
        (64, 128, 128),
        (128, 64, 64),
        (256, 32, 32),
        (512, 16, 16),
        (512, 8, 8),
        (512, 4, 4),
        (128,),
    ]


def test_trunk_and_head_have_12_and_1_million_parameters() -> None:
    network = encoder(MatchingFaceEncoderConfig())
    trunk = 3 * 9 * 64 + 64
    for inside, outside in ((64, 64), (64, 128), (128, 256), (256, 512), (512, 512), (512, 512)):
        hidden = min(inside, outside)
        trunk += 9 * inside * hidden + hidden + 9 * hidden * outside + outside
        trunk += inside * outside if inside != outside else 0
    assert sum(one.numel() for one in network.trunk.parameters()) == trunk == 12_010_688
    assert sum(one.numel() for one in network.head.parameters()) == 8192 * 128 + 128 == 1_048_704


def test_a_residual_branch_counts_a_tenth() -> None:
    block = ResidualBlock(4, 4)
    values = torch.randn(2, 4, 8, 8)
    middle = block.first(nn.functional.leaky_relu(values, 0.2))
    branch = block.second(nn.functional.leaky_relu(middle, 0.2))
    torch.testing.assert_close(block(values), values + 0.1 * branch)


def test_a_picture_of_the_right_size_is_used_as_it_is() -> None:
    network, some = encoder(), picture(1)
    ready = torch.from_numpy(some).permute(2, 0, 1)[None].float() / 127.5 - 1
    with torch.no_grad():
        torch.testing.assert_close(network.encode([some]), network(ready))


def test_a_picture_of_another_size_is_cut_to_its_middle_and_resized() -> None:
    network = encoder()
    square = np.kron(picture(2), np.ones((5, 5, 1), np.uint8))
    wide = np.zeros((80, 120, 3), np.uint8)
    wide[:, 20:100] = square
    torch.testing.assert_close(network.encode([wide]), network.encode([square]))
    assert torch.cosine_similarity(network.encode([square]), network.encode([picture(2)])) > 0.99
    assert network.encode([picture(3, 5, 7)]).shape == (1, 12)


def test_an_embedding_does_not_depend_on_the_rest_of_the_batch() -> None:
    network = encoder()
    pictures = [picture(seed, 16 + seed, 20) for seed in range(70)]
    alone = torch.cat([network.encode([one]) for one in pictures])
    torch.testing.assert_close(network.encode(pictures), alone, atol=1e-6, rtol=1e-5)


def test_embeddings_have_unit_length_unless_raw_products_are_wanted() -> None:
    assert torch.allclose(encoder().encode([picture(4)]).norm(dim=1), torch.ones(1))
    raw = encoder(MatchingFaceEncoderConfig(**{**vars(TINY), "unit_norm": False}))
    assert abs(float(raw.encode([picture(4)]).norm()) - 1) > 1e-2


def test_a_saved_encoder_comes_back_as_it_was(tmp_path: Path) -> None:
    network = encoder()
    network.save_pretrained(tmp_path)
    again = MatchingFaceEncoder.from_pretrained(tmp_path, "cpu")
    assert again.config == TINY
    assert torch.equal(again.encode([picture(5)]), network.encode([picture(5)]))


def test_bfloat16_changes_no_embedding_by_more_than_a_thousandth() -> None:
    network = encoder(MatchingFaceEncoderConfig())
    network.precision = "float32"
    exact = network.encode([picture(6, 128, 128), picture(7, 128, 128)])
    network.precision = "bfloat16"
    rounded = network.encode([picture(6, 128, 128), picture(7, 128, 128)])
    assert not torch.equal(exact, rounded)
    assert torch.cosine_similarity(exact, rounded).min() >= 0.999


@pytest.mark.parametrize(
    "wrong",
    [np.zeros((8, 8), np.uint8), np.zeros((8, 8, 4), np.uint8), np.zeros((8, 8, 3), np.float32)],
    ids=["grey", "transparent", "float"],
)
def test_what_is_no_rgb_picture_is_refused(wrong: npt.NDArray[np.generic]) -> None:
    with pytest.raises(ValueError, match="uint8 picture"):
        encoder().encode([wrong])


def test_a_batch_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match=r"\[B, 3, 16, 16\]"):
        encoder()(torch.zeros(1, 3, 32, 32))


def test_widths_double_at_every_halving_up_to_the_cap() -> None:
    assert trunk_channels(128, 4, 64, 512) == [64, 128, 256, 512, 512, 512]
    assert trunk_channels(256, 4, 64, 1024) == [64, 128, 256, 512, 1024, 1024, 1024]
    for image_size, smallest in ((100, 4), (4, 8), (12, 5), (0, 4), (8, 0)):
        with pytest.raises(ValueError, match="power of two"):
            trunk_channels(image_size, smallest, 64, 512)
