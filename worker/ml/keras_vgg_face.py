"""VGG-Face as Keras keeps it: two HDF5 files, read without TensorFlow and put in the order that PyTorch computes in.

Both projects publish their weights only in this form: deepface as sixteen convolutions, keras-vggface as thirteen
convolutions and three dense layers. Keras keeps channels last. For convolutions that is a transposition. For the first
dense layer it is more: its inputs are the last feature map flattened as height, width, channel in Keras and as
channel, height, width in PyTorch, so its columns must be put in another order too. A plain transposition gives a layer
of the right shape whose every input is the wrong one (speech-to-face converters are known that do this).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import isqrt, prod
from pathlib import Path
from typing import Any, Literal

import h5py
import numpy as np
import numpy.typing as npt
import torch

from worker.ml.checkpoints import MAX_WEIGHTS_BYTES, Format, State, format_of, refuse, shown
from worker.ml.errors import ModelError

Variant = Literal["serengil", "rcmalli"]
Array = npt.NDArray[np.float32]

CONVOLUTIONS = 13
DENSE = ("fc6", "fc7", "fc8")
RCMALLI_NAMES = (
    *(
        f"conv{block}_{one}"
        for block, layers in enumerate((2, 2, 3, 3, 3), 1)
        for one in range(1, layers + 1)
    ),
    *DENSE,
)
_SERENGIL_LAYERS = CONVOLUTIONS + len(DENSE)
# Where the original project's networks keep layers 1 to 16 (state_dict names).
_PLACES: dict[Variant, tuple[int, ...]] = {
    "serengil": (1,) * CONVOLUTIONS + (0, 0, 1),
    "rcmalli": (0,) * CONVOLUTIONS + (1, 0, 0),
}


@dataclass(frozen=True)
class Layer:
    """One layer with weights, as Keras keeps it.

    Attributes:
        kernel: `[kh, kw, in, out]` of a convolution, `[in, out]` of a dense layer.
        bias: `[out]`.
    """

    name: str
    kernel: Array
    bias: Array


def read_keras_vgg_face(path: Path, variant: Variant | None = None) -> tuple[Variant, State]:
    """Converts a weight file of deepface (`serengil`) or keras-vggface (`rcmalli`).

    Sizes are those of the file: that they are VGG-Face's own is for the network to say that takes them.

    Args:
        variant: which of the two it must be; None tells them apart by their layers.

    Returns:
        The variant, and a state dict under the names of the original speech-to-face project.

    Raises:
        ModelError: `model_not_found`, or `checkpoint_mismatch` with one sentence on what is wrong.
    """
    if format_of(path) is not Format.HDF5:
        refuse(f"{path} is no HDF5 file, as Keras writes them. For PyTorch files: voicesketch models import")
    with _opened(path) as file:
        names = _layer_names(path, file)
        found = _variant_of(path, names, [name for name in names if _weight_names(file[name])], file)
        if variant is not None and variant != found:
            refuse(f"{path} holds the {found} variant of VGG-Face, not {variant}.")
        wanted = (
            RCMALLI_NAMES if found == "rcmalli" else [name for name in names if _weight_names(file[name])]
        )
        layers = [_read_layer(path, file, name) for name in wanted]
    return found, state_of(path, found, layers)


def state_of(path: Path, variant: Variant, layers: list[Layer]) -> State:
    """The sixteen layers under PyTorch names and in PyTorch order, checked to fit into each other.

    Raises:
        ModelError: `checkpoint_mismatch`, naming the layer that does not fit.
    """
    state: State = {}
    channels = 3
    for number, (layer, place) in enumerate(zip(layers, _PLACES[variant], strict=True), 1):
        dense = variant == "rcmalli" and number > CONVOLUTIONS
        dimensions = 2 if dense else 4
        if layer.kernel.ndim != dimensions or layer.bias.shape != layer.kernel.shape[-1:]:
            refuse(
                f"Layer {shown(layer.name)} in {path} has a kernel of shape {layer.kernel.shape} and a bias of shape "
                f"{layer.bias.shape}, which is not what layer {number} of VGG-Face ({variant}) has."
            )
        inputs = layer.kernel.shape[-2]
        if dense and number == CONVOLUTIONS + 1:
            side = isqrt(inputs // channels)
            if side * side * channels != inputs:
                refuse(
                    f"Layer {shown(layer.name)} in {path} takes {inputs:,} inputs, "
                    f"which are no square of {channels} channels."
                )
            weight = flattened_rows_to_torch(layer.kernel, side, channels)
        elif inputs != channels:
            refuse(
                f"Layer {shown(layer.name)} in {path} takes {inputs:,} channels, "
                f"but the layer before it has {channels:,}."
            )
        else:
            weight = layer.kernel.T if dense else layer.kernel.transpose(3, 2, 0, 1)
        channels = layer.kernel.shape[-1]
        state[f"layer{number}.{place}.weight"] = torch.from_numpy(np.ascontiguousarray(weight))
        state[f"layer{number}.{place}.bias"] = torch.from_numpy(layer.bias)
    return state


def flattened_rows_to_torch(kernel: Array, side: int, channels: int) -> Array:
    """The kernel of a dense layer behind a flattened feature map, for a feature map that PyTorch flattens.

    Args:
        kernel: `[side * side * channels, out]`, rows in the order height, width, channel.

    Returns:
        `[out, channels * side * side]`, columns in the order channel, height, width.
    """
    outputs = kernel.shape[1]
    spread = kernel.reshape(side, side, channels, outputs)
    return spread.transpose(3, 2, 0, 1).reshape(outputs, channels * side * side)


def _variant_of(path: Path, names: list[str], weighted: list[str], file: Any) -> Variant:
    if "conv1_1" in names:
        if missing := [name for name in RCMALLI_NAMES if name not in names]:
            if missing == list(DENSE):
                refuse(
                    f"{path} is keras-vggface's file without its dense layers (notop), which make the embedding. "
                    "Take rcmalli_vggface_tf_vgg16.h5."
                )
            refuse(f"{path} lacks the layer {missing[0]} of keras-vggface's VGG16.")
        return "rcmalli"
    kernels = [
        max((len(file[name][one].shape) for one in _weight_names(file[name])), default=0) for name in weighted
    ]
    if len(weighted) == _SERENGIL_LAYERS and set(kernels) == {4}:
        return "serengil"
    return refuse(
        f"{path} is no VGG-Face of deepface (16 convolutions) or keras-vggface (layers conv1_1 to fc8): it has "
        f"{len(weighted)} layers with weights, {kernels.count(4)} of them convolutions."
    )


def _layer_names(path: Path, file: Any) -> list[str]:
    backend = _text(file.attrs.get("backend", b"tensorflow"))
    if backend == "theano":
        refuse(f"{path} was saved with Theano, whose kernels are mirrored. Take the TensorFlow file (tf).")
    names = _names(file, "layer_names")
    if not names:
        refuse(
            f"{path} is an HDF5 file, but not one in which Keras saved weights (save_weights, Keras 1 or 2)."
        )
    for name in names:
        if not isinstance(file.get(name), h5py.Group):
            refuse(f"{path} lists a layer {shown(name)} that it does not hold. It is damaged.")
        for one in _weight_names(file[name]):
            if not isinstance(file[name].get(one), h5py.Dataset):
                refuse(f"{path} lists weights {shown(one)} of a layer that it does not hold. It is damaged.")
    return names


def _weight_names(group: Any) -> list[str]:
    return _names(group, "weight_names")


def _names(group: Any, attribute: str) -> list[str]:
    """A list of names; Keras spreads one that is too long for an attribute over `name0`, `name1`, …"""
    if attribute in group.attrs:
        return [_text(name) for name in np.atleast_1d(group.attrs[attribute])]
    pieces: list[str] = []
    while f"{attribute}{(number := len(pieces))}" in group.attrs and number < 1000:
        pieces.append(f"{attribute}{number}")
    return [_text(name) for piece in pieces for name in np.atleast_1d(group.attrs[piece])]


def _text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _read_layer(path: Path, file: Any, name: str) -> Layer:
    arrays = [_read_array(path, file[name], one) for one in _weight_names(file[name])]
    kernels = [array for array in arrays if array.ndim > 1]
    biases = [array for array in arrays if array.ndim == 1]
    if len(kernels) != 1 or len(biases) != 1 or len(arrays) != 2:
        refuse(
            f"Layer {shown(name)} in {path} has {len(arrays)} arrays; one kernel and one bias were expected."
        )
    return Layer(name, kernels[0], biases[0])


def _read_array(path: Path, group: Any, name: str) -> Array:
    data = group[name]
    # HDF5 can link to other files, and keep the numbers of a dataset in any file at all.
    if data.external or data.is_virtual or data.file.filename != str(path):
        refuse(f"{shown(name)} in {path} lies in another file. Give a file that holds its own weights.")
    if data.dtype.kind != "f" or not data.shape:
        refuse(
            f"{shown(name)} in {path} has numbers of type {data.dtype}; weights are floating-point numbers."
        )
    if prod(data.shape) * 4 > MAX_WEIGHTS_BYTES:
        refuse(f"{shown(name)} in {path} is larger than any layer of VGG-Face.")
    array = data[()].astype(np.float32, copy=False)
    if not np.isfinite(array).all():
        refuse(
            f"{shown(name)} in {path} holds values that are not numbers (NaN or infinite). Download it again."
        )
    return np.asarray(array)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    try:
        with h5py.File(path, "r") as file:
            # Whole models are saved with their weights one floor below.
            inside = file.get("model_weights")
            yield inside if isinstance(inside, h5py.Group) and "layer_names" not in file.attrs else file
    except (OSError, KeyError, RuntimeError, ValueError, TypeError, AttributeError) as failure:
        raise ModelError(
            "checkpoint_mismatch", f"{path} is cut short or damaged. Copy or download it again."
        ) from failure
