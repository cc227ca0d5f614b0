"""VGG-Face answers what the original answered, and each set of weights gets its pictures as it was trained on them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch

from benchmarks import golden
from tests.worker.ml.networks.recordings import cosine, real_faces
from worker.ml.networks.vgg_face import Variant, VGGFace, VGGFaceConfig, normalised_faces, prepared_faces

CPU = torch.device("cpu")
RCMALLI_MEAN = (93.5940, 104.7624, 129.1863)
TINY = VGGFaceConfig(image_size=16, widths=(4, 6), depths=(1, 2), embedding_length=12, classes=5)


def plain(height: int, width: int, colour: tuple[int, int, int]) -> npt.NDArray[np.uint8]:
    return np.full((height, width, 3), colour, dtype=np.uint8)


def noise(height: int, width: int, seed: int) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.fixture
def tiny() -> VGGFace:
    torch.manual_seed(3)
    return VGGFace(TINY).eval()


@pytest.mark.parametrize("variant", ["serengil", "rcmalli"])
def test_it_answers_what_the_original_answered(variant: str, golden_folder: Path, shared_data: Path) -> None:
    network = golden.made_up_network(golden_folder, f"vggface_{variant}")
    assert isinstance(network, VGGFace)
    assert golden.network_error(golden_folder, f"vggface_{variant}", network, rows=1) < golden.NETWORK_LIMIT
    assert sum(parameter.numel() for parameter in network.parameters()) == 145_002_878
    if variant == "serengil":
        faces = real_faces(shared_data, 1)
        network.precision = "float32"
        exact = network.encode(faces)
        network.precision = "bfloat16"
        assert cosine(network.encode(faces), exact).min() >= 0.999


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (VGGFaceConfig.of("serengil"), (30 / 255, 20 / 255, 10 / 255)),
        (VGGFaceConfig.of("rcmalli"), (30 - 93.5940, 20 - 104.7624, 10 - 129.1863)),
        (VGGFaceConfig.of("serengil", compat="original"), (10 / 255, 20 / 255, 30 / 255)),
        (VGGFaceConfig.of("rcmalli", compat="original"), (10 / 255, 20 / 255, 30 / 255)),
    ],
)
def test_each_backend_gets_its_own_channels_scale_and_mean(
    config: VGGFaceConfig, expected: tuple[float, ...]
) -> None:
    prepared = prepared_faces([plain(224, 224, (10, 20, 30))], config, CPU)
    assert prepared.shape == (1, 3, 224, 224)
    for channel, value in zip(prepared[0], expected, strict=True):
        torch.testing.assert_close(channel, torch.full((224, 224), value))


def test_serengil_keeps_proportions_in_black_and_the_others_stretch() -> None:
    wide = plain(60, 120, (255, 255, 255))
    padded = prepared_faces([wide], VGGFaceConfig.of("serengil"), CPU)[0, 0]
    assert torch.equal(padded[:56], torch.zeros(56, 224)) and torch.equal(padded[168:], torch.zeros(56, 224))
    torch.testing.assert_close(padded[56:168], torch.ones(112, 224))
    for config in (VGGFaceConfig.of("rcmalli"), VGGFaceConfig.of("serengil", compat="original")):
        stretched = prepared_faces([wide], config, CPU)[0]
        assert stretched.flatten(1).std(dim=1).max() < 1e-3


def test_a_large_picture_is_averaged_and_not_picked_from() -> None:
    stripes = np.zeros((448, 448, 3), np.uint8)
    stripes[:, ::2] = 200
    prepared = prepared_faces([stripes], VGGFaceConfig.of("serengil"), CPU)[0, 0] * 255
    assert float((prepared[:, 2:-2] - 100).abs().max()) < 2


def test_the_recipe_travels_with_the_weights(tiny: VGGFace, tmp_path: Path) -> None:
    for variant, compat in (("serengil", None), ("rcmalli", None), ("rcmalli", "original")):
        recipe = VGGFaceConfig.of(variant, compat=compat)  # type: ignore[arg-type]
        config = replace(recipe, image_size=16, widths=(4, 6), depths=(1, 2), embedding_length=12, classes=5)
        network = VGGFace(config).eval()
        network.load_state_dict(tiny.state_dict())
        folder = tmp_path / f"{variant}-{compat}"
        network.save_pretrained(folder)
        loaded = VGGFace.from_pretrained(folder, "cpu")
        assert loaded.config == config
        assert torch.equal(loaded.encode([noise(20, 16, 1)]), network.encode([noise(20, 16, 1)]))


def test_the_originals_recipe_is_a_space_of_its_own() -> None:
    spaces = {
        VGGFaceConfig.of(variant, compat=compat).embedding_space
        for variant in ("serengil", "rcmalli")
        for compat in (None, "original")
    }
    assert len(spaces) == 4


def test_pictures_of_many_sizes_go_together(tiny: VGGFace) -> None:
    faces = [noise(16, 16, 0), noise(31, 40, 1), noise(5, 9, 2), noise(200, 16, 3), noise(1, 1, 4)] * 2
    together = tiny.encode(faces)
    alone = torch.cat([tiny.encode([face]) for face in faces])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-6)
    assert together.shape == (10, 12) and float(together.min()) >= 0 and float(together.max()) > 0
    assert tiny.encode([]).shape == (0, 12)


def test_class_logits_are_the_last_layer_of_the_embedding(tiny: VGGFace) -> None:
    embeddings = tiny.encode([noise(16, 16, 0)]).clone()
    logits = tiny.class_logits(embeddings)
    torch.testing.assert_close(logits, embeddings @ tiny.fc8.weight.T + tiny.fc8.bias)


@pytest.mark.parametrize(
    "face",
    [
        np.zeros((8, 8), np.uint8),
        np.zeros((8, 8, 4), np.uint8),
        np.zeros((8, 8, 3), np.float32),
        np.zeros((0, 8, 3), np.uint8),
    ],
    ids=["grey", "rgba", "float", "empty"],
)
def test_what_is_no_rgb_picture_is_refused_by_name(tiny: VGGFace, face: npt.NDArray[np.generic]) -> None:
    with pytest.raises(ValueError, match="uint8 RGB"):
        tiny.encode([face])  # type: ignore[list-item]


@pytest.mark.parametrize("setting", ["variant", "channel_order", "resize"])
def test_a_recipe_nobody_knows_is_refused(setting: str) -> None:
    with pytest.raises(ValueError, match=f"{setting} is one of"):
        replace(TINY, **{setting: "grb"})  # type: ignore[arg-type]


def test_a_picture_too_small_for_the_blocks_is_refused() -> None:
    with pytest.raises(ValueError, match="nothing of 3 pixels"):
        replace(TINY, image_size=3)


@pytest.mark.parametrize("variant", ["serengil", "rcmalli"])
def test_gradients_reach_a_drawn_face(tiny: VGGFace, variant: Variant) -> None:
    drawn = (torch.rand(2, 3, 16, 16) * 255).requires_grad_()
    tiny(normalised_faces(drawn, VGGFaceConfig.of(variant))).sum().backward()
    assert drawn.grad is not None and float(drawn.grad.abs().max()) > 0
