"""VGG-Face from Keras: the same numbers come out as Keras would compute, channels last."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
import pytest
import torch

from worker.ml.errors import ModelError
from worker.ml.keras_vgg_face import RCMALLI_NAMES, Layer, Variant, read_keras_vgg_face
from worker.ml.networks.original_weights import network_from_original
from worker.ml.networks.vgg_face import VGGFace, VGGFaceConfig

Array = npt.NDArray[np.float64]

DEPTHS = (2, 2, 3, 3, 3)
WIDTHS = (3, 4, 5, 6, 7)
SIZE, SIDE = 96, 3  # of the picture and of the last feature map
EMBEDDING, CLASSES = 16, 10


def layers_of(variant: Variant, seed: int = 0) -> list[Layer]:
    """A small VGG-Face of random weights, kernels as Keras keeps them."""
    random = np.random.default_rng(seed)
    shapes: list[tuple[int, ...]] = []
    channels = 3
    for width, depth in zip(WIDTHS, DEPTHS, strict=True):
        for _ in range(depth):
            shapes.append((3, 3, channels, width))
            channels = width
    if variant == "rcmalli":
        shapes += [(SIDE * SIDE * channels, EMBEDDING), (EMBEDDING, EMBEDDING), (EMBEDDING, CLASSES)]
        names: Sequence[str] = RCMALLI_NAMES
    else:
        shapes += [
            (SIDE, SIDE, channels, EMBEDDING),
            (1, 1, EMBEDDING, EMBEDDING),
            (1, 1, EMBEDDING, CLASSES),
        ]
        names = [f"conv2d_{number}" for number in range(1, 17)]
    return [
        Layer(
            name,
            (random.normal(size=shape) * np.sqrt(2 / np.prod(shape[:-1]))).astype(np.float32),
            (0.1 * random.normal(size=shape[-1])).astype(np.float32),
        )
        for name, shape in zip(names, shapes, strict=True)
    ]


def write_h5(path: Path, layers: Sequence[Layer], *, named: str = "kernel", nested: bool = True) -> Path:
    """As Keras' `save_weights` writes: also of layers without weights, which a Sequential has between the others."""
    with h5py.File(path, "w") as file:
        names = ["input_1"]
        for layer in layers:
            names += [layer.name, f"after_{layer.name}"]
        file.attrs["layer_names"] = [name.encode() for name in names]
        file.attrs["backend"] = b"tensorflow"
        file.attrs["keras_version"] = b"2.0.6"
        for name in names:
            file.create_group(name).attrs["weight_names"] = np.array([], dtype="S1")
        for layer in layers:
            ends = ("kernel:0", "bias:0") if named == "kernel" else ("W", "b")
            if named == "W_1":
                ends = (f"{layer.name}_W_1:0", f"{layer.name}_b_1:0")
            whole = [f"{layer.name}/{end}" if nested else end for end in ends]
            group = file[layer.name]
            group.attrs["weight_names"] = [name.encode() for name in whole]
            group[whole[0]], group[whole[1]] = layer.kernel, layer.bias
    return path


def keras_forward(layers: Sequence[Layer], pictures: Array) -> tuple[Array, Array]:
    """What Keras computes, in NumPy: `[N, H, W, 3]` to fc7 after its ReLU `[N, D]` and the logits of fc8 `[N, C]`."""
    hidden = pictures
    rest = iter(layers)
    for depth in DEPTHS:
        for _ in range(depth):
            layer = next(rest)
            hidden = np.maximum(convolved(hidden, layer, padding=1), 0)
        n, height, width, channels = hidden.shape
        hidden = hidden.reshape(n, height // 2, 2, width // 2, 2, channels).max(axis=(2, 4))
    fc6, fc7, fc8 = rest
    if fc6.kernel.ndim == 2:
        flat = hidden.reshape(len(hidden), -1)  # height, width, channel
        hidden6 = np.maximum(flat @ fc6.kernel + fc6.bias, 0)
        embedding = np.maximum(hidden6 @ fc7.kernel + fc7.bias, 0)
        return embedding, embedding @ fc8.kernel + fc8.bias
    hidden = np.maximum(convolved(hidden, fc6, padding=0), 0)
    hidden = np.maximum(convolved(hidden, fc7, padding=0), 0)
    logits = convolved(hidden, fc8, padding=0)
    return hidden.reshape(len(hidden), -1), logits.reshape(len(logits), -1)


def convolved(hidden: Array, layer: Layer, padding: int) -> Array:
    kernel = layer.kernel.astype(np.float64)
    padded = np.pad(hidden, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, kernel.shape[:2], axis=(1, 2))
    return np.einsum("nyxcij,ijco->nyxo", windows, kernel, optimize=True) + layer.bias


def ours(variant: Variant, state: dict[str, torch.Tensor]) -> VGGFace:
    config = VGGFaceConfig(
        variant,
        image_size=SIZE,
        widths=WIDTHS,
        depths=DEPTHS,
        embedding_length=EMBEDDING,
        classes=CLASSES,
    )
    network = network_from_original(f"vggface_{variant}", state, config=config)
    assert isinstance(network, VGGFace)
    return network


def forward(network: VGGFace, pictures: Array) -> tuple[Array, Array]:
    with torch.inference_mode():
        embedding = network(torch.from_numpy(pictures.transpose(0, 3, 1, 2).astype(np.float32)))
        return embedding.double().numpy(), network.class_logits(embedding).double().numpy()


def relative_error(found: Array, expected: Array) -> float:
    return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))


@pytest.fixture
def pictures() -> Array:
    return np.random.default_rng(1).uniform(-1, 1, size=(2, SIZE, SIZE, 3))


@pytest.mark.parametrize("variant", ["serengil", "rcmalli"])
def test_a_converted_network_computes_what_keras_does(
    tmp_path: Path, variant: Variant, pictures: Array
) -> None:
    layers = layers_of(variant)
    found, state = read_keras_vgg_face(write_h5(tmp_path / "w.h5", layers))
    assert found == variant
    embedding, logits = forward(ours(variant, state), pictures)
    expected_embedding, expected_logits = keras_forward(layers, pictures)
    assert np.count_nonzero(expected_embedding) > EMBEDDING / 2
    assert relative_error(embedding, expected_embedding) < 1e-5
    assert relative_error(logits, expected_logits) < 1e-5


def test_a_plain_transposition_of_fc6_computes_something_else(tmp_path: Path, pictures: Array) -> None:
    layers = layers_of("rcmalli")
    _, state = read_keras_vgg_face(write_h5(tmp_path / "w.h5", layers))
    fc6 = layers[13].kernel
    assert state["layer14.1.weight"].shape == fc6.T.shape
    state["layer14.1.weight"] = torch.from_numpy(fc6.T.copy())
    embedding, _ = forward(ours("rcmalli", state), pictures)
    assert relative_error(embedding, keras_forward(layers, pictures)[0]) > 0.3


@pytest.mark.parametrize(("named", "nested"), [("kernel", False), ("W", True), ("W", False), ("W_1", True)])
def test_every_way_in_which_keras_named_weights_is_read(tmp_path: Path, named: str, nested: bool) -> None:
    layers = layers_of("rcmalli")
    _, expected = read_keras_vgg_face(write_h5(tmp_path / "new.h5", layers))
    _, state = read_keras_vgg_face(write_h5(tmp_path / "old.h5", layers, named=named, nested=nested))
    assert state.keys() == expected.keys()
    assert all(torch.equal(state[name], expected[name]) for name in expected)


def test_a_whole_saved_model_and_a_list_of_names_in_pieces_are_read(tmp_path: Path) -> None:
    layers = layers_of("serengil")
    write_h5(tmp_path / "weights.h5", layers)
    with h5py.File(tmp_path / "weights.h5") as weights, h5py.File(tmp_path / "model.h5", "w") as model:
        model.attrs["model_config"] = b"{}"
        weights.copy(weights["/"], model, "model_weights")
        names = model["model_weights"].attrs["layer_names"]
        del model["model_weights"].attrs["layer_names"]
        model["model_weights"].attrs["layer_names0"] = names[:7]
        model["model_weights"].attrs["layer_names1"] = names[7:]
    variant, state = read_keras_vgg_face(tmp_path / "model.h5")
    assert (variant, len(state)) == ("serengil", 32)


def refusal(path: Path, variant: Variant | None = None) -> str:
    with pytest.raises(ModelError) as caught:
        read_keras_vgg_face(path, variant)
    assert "\n" not in caught.value.message and str(path) in caught.value.message
    return caught.value.message


def test_the_wrong_variant_is_refused(tmp_path: Path) -> None:
    path = write_h5(tmp_path / "w.h5", layers_of("serengil"))
    assert read_keras_vgg_face(path, "serengil")[0] == "serengil"
    assert "holds the serengil variant" in refusal(path, "rcmalli")


def test_missing_layers_are_named(tmp_path: Path) -> None:
    layers = layers_of("rcmalli")
    assert "(notop)" in refusal(write_h5(tmp_path / "notop.h5", layers[:13]))
    assert "lacks the layer conv3_2" in refusal(write_h5(tmp_path / "w.h5", [*layers[:5], *layers[6:]]))
    assert "15 layers" in refusal(write_h5(tmp_path / "s.h5", layers_of("serengil")[:15]))


def test_another_network_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "w.h5"
    with h5py.File(path, "w") as file:
        file["measurements"] = np.zeros(3)
    assert "not one in which Keras saved weights" in refusal(path)
    other = [Layer(f"dense_{n}", np.ones((2, 2), np.float32), np.ones(2, np.float32)) for n in range(16)]
    assert "no VGG-Face" in refusal(write_h5(path, other))
    (tmp_path / "text.h5").write_text("no weights")
    assert "text.h5" in refusal(tmp_path / "text.h5")
    torch.save({}, tmp_path / "torch.h5")
    assert "voicesketch models import" in refusal(tmp_path / "torch.h5")


def test_layers_that_do_not_fit_into_each_other_are_refused(tmp_path: Path) -> None:
    layers = layers_of("rcmalli")

    def with_layer(number: int, kernel: npt.NDArray[Any], bias: npt.NDArray[Any] | None = None) -> Path:
        changed = list(layers)
        changed[number] = Layer(
            layers[number].name, kernel, np.zeros(kernel.shape[-1]) if bias is None else bias
        )
        return write_h5(tmp_path / "w.h5", changed)

    assert "'conv1_2'" in refusal(with_layer(1, np.zeros((3, 3, 5, 3))))
    assert "no square" in refusal(with_layer(13, np.zeros((8 * 7, EMBEDDING))))
    assert "'fc7'" in refusal(with_layer(14, np.zeros((EMBEDDING + 1, EMBEDDING))))
    assert "'fc8'" in refusal(with_layer(15, np.zeros((EMBEDDING, CLASSES)), np.zeros(CLASSES + 1)))
    assert "type int32" in refusal(with_layer(15, np.zeros((EMBEDDING, CLASSES), np.int32)))
    assert "not numbers" in refusal(with_layer(15, np.full((EMBEDDING, CLASSES), np.nan)))


def test_theano_kernels_are_refused(tmp_path: Path) -> None:
    path = write_h5(tmp_path / "w.h5", layers_of("rcmalli"))
    with h5py.File(path, "a") as file:
        file.attrs["backend"] = b"theano"
    assert "Theano" in refusal(path)


def test_a_damaged_file_is_refused_wherever_it_ends(tmp_path: Path) -> None:
    content = write_h5(tmp_path / "whole.h5", layers_of("rcmalli")).read_bytes()
    for end in range(16, len(content) - 1, len(content) // 40):
        (tmp_path / "cut.h5").write_bytes(content[:end])
        assert "cut short or damaged" in refusal(tmp_path / "cut.h5")


def test_names_that_lead_nowhere_are_refused(tmp_path: Path) -> None:
    path = write_h5(tmp_path / "w.h5", layers_of("rcmalli"))
    with h5py.File(path, "a") as file:
        del file["conv2_1/conv2_1/bias:0"]
    assert "does not hold" in refusal(path)
    with h5py.File(path, "a") as file:
        del file["conv2_1"]
    assert "'conv2_1'" in refusal(path)


def test_numbers_of_other_files_are_not_taken(tmp_path: Path) -> None:
    layers = layers_of("rcmalli")
    other = write_h5(tmp_path / "other.h5", layers)
    path = write_h5(tmp_path / "w.h5", layers)
    with h5py.File(path, "a") as file:
        del file["conv1_1"]
        file["conv1_1"] = h5py.ExternalLink(str(other), "conv1_1")
    assert "another file" in refusal(path)
    secret = tmp_path / "secret"
    secret.write_bytes(bytes(layers[0].bias.nbytes))
    path = write_h5(tmp_path / "v.h5", layers)
    with h5py.File(path, "a") as file:
        del file["conv1_1/conv1_1/bias:0"]
        file["conv1_1"].create_dataset(
            "conv1_1/bias:0",
            layers[0].bias.shape,
            "f4",
            external=[(str(secret), 0, layers[0].bias.nbytes)],
        )
    assert "another file" in refusal(path)
