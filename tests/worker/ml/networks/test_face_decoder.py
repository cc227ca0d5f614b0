"""The face decoder answers what the original answered, and draws with or without its warp."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks import golden
from worker.ml.networks.face_decoder import FaceDecoder, FaceDecoderConfig
from worker.ml.networks.initialisation import UnfilledWeights
from worker.ml.networks.landmark_warp import POINTS

TINY = FaceDecoderConfig(
    embedding_length=12,
    shared_lengths=(16, 10),
    landmark_lengths=(8,),
    texture_side=4,
    texture_widths=(6, 5, 4),
)


def mean_landmarks(size: int = 16) -> torch.Tensor:
    return torch.rand(POINTS, 2, generator=torch.Generator().manual_seed(8)) * (size - 2) + 1


@pytest.fixture
def tiny() -> FaceDecoder:
    torch.manual_seed(4)
    return FaceDecoder(TINY).eval()


@pytest.fixture
def warping(tiny: FaceDecoder) -> FaceDecoder:
    """The same with the warp, and a landmark head that predicts the mean landmarks but for a little."""
    network = FaceDecoder(replace(TINY, warp=True)).eval()
    network.load_state_dict(tiny.state_dict(), strict=False)
    network.set_mean_landmarks(mean_landmarks())
    last = network.landmark_layers[-1][0]
    with torch.no_grad():
        last.bias.copy_(mean_landmarks().flatten())
    return network


def test_it_answers_what_the_original_answered(golden_folder: Path) -> None:
    network = golden.made_up_network(golden_folder, "face_decoder")
    assert golden.network_error(golden_folder, "face_decoder", network) < golden.NETWORK_LIMIT
    assert sum(parameter.numel() for parameter in network.parameters()) == 125_596_403


def test_every_part_has_the_published_shape() -> None:
    with UnfilledWeights():
        network = FaceDecoder().to("meta").eval()
    embeddings = torch.empty(2, 4096, device="meta")
    landmarks, texture = network(embeddings)
    assert network.first_layers(embeddings).shape == (2, 2048)
    assert landmarks.shape == (2, 144) and texture.shape == (2, 3, 224, 224)
    assert network.image_size == 224
    values, shapes = network.first_layers(embeddings), []
    for layer in network.texture_layers:
        values = layer(values)
        shapes.append(tuple(values.shape[1:]))
    assert shapes[1:] == [(128, 28, 28), (64, 56, 56), (32, 112, 112), (32, 224, 224), (3, 224, 224)]


def test_pictures_and_landmarks_come_out_in_pixels(tiny: FaceDecoder) -> None:
    embeddings = torch.rand(11, 12, generator=torch.Generator().manual_seed(9))
    drawn = tiny.decode(embeddings)
    assert drawn.pictures.shape == (11, 16, 16, 3) and drawn.pictures.dtype == np.uint8
    with torch.no_grad():
        landmarks, texture = tiny(embeddings)
    assert drawn.landmarks is not None and drawn.landmarks.shape == (11, POINTS, 2)
    np.testing.assert_allclose(drawn.landmarks[:, 1, 0], landmarks[:, 2].numpy(), rtol=1e-4, atol=1e-6)
    assert np.abs(drawn.pictures / 255 - texture.permute(0, 2, 3, 1).numpy()).max() <= 0.51 / 255
    assert tiny.decode(torch.empty(0, 12)).pictures.shape == (0, 16, 16, 3)


def test_without_the_warp_its_tensors_are_the_originals_alone(
    tiny: FaceDecoder, warping: FaceDecoder
) -> None:
    assert set(warping.state_dict()) - set(tiny.state_dict()) == {"mean_landmarks"}


def test_the_warp_moves_the_texture_to_the_predicted_landmarks(warping: FaceDecoder) -> None:
    embeddings = torch.rand(1, 12, generator=torch.Generator().manual_seed(10))
    with torch.no_grad():
        last = warping.landmark_layers[-1][0]
        last.weight.zero_()
        still, texture = warping.draw(embeddings)[1], warping(embeddings)[1]
        torch.testing.assert_close(still, texture, rtol=0, atol=1e-3)
        warping.config = replace(warping.config, warp_border_points=0)
        last.bias += 2.0  # every landmark two pixels to the right and down
        moved = warping.draw(embeddings)[1]
    torch.testing.assert_close(moved[..., 4:, 4:], texture[..., 2:-2, 2:-2], rtol=0, atol=1e-3)


def test_gradients_pass_through_the_warp_to_both_heads(warping: FaceDecoder) -> None:
    embeddings = torch.rand(2, 12, generator=torch.Generator().manual_seed(11)).requires_grad_()
    _, pictures = warping.draw(embeddings)
    pictures.square().sum().backward()
    assert embeddings.grad is not None and float(embeddings.grad.abs().max()) > 0
    for head in (warping.landmark_layers[-1][0], warping.texture_layers[0][0]):
        assert head.weight.grad is not None and float(head.weight.grad.abs().max()) > 0


def test_its_folder_brings_back_the_mean_landmarks(warping: FaceDecoder, tmp_path: Path) -> None:
    warping.save_pretrained(tmp_path / "decoder")
    loaded = FaceDecoder.from_pretrained(tmp_path / "decoder", "cpu")
    embeddings = torch.rand(3, 12, generator=torch.Generator().manual_seed(12))
    assert loaded.config == warping.config
    np.testing.assert_array_equal(loaded.decode(embeddings).pictures, warping.decode(embeddings).pictures)


def test_a_spline_of_another_order_is_refused() -> None:
    with pytest.raises(ValueError, match="warp_order"):
        replace(TINY, warp_order=3)  # type: ignore[arg-type]
