"""VGG-Face: the frozen teacher whose embedding of a face the voice encoders predict.

Parkhi, Vedaldi, Zisserman, "Deep Face Recognition", BMVC 2015. Two sets of converted weights are in use, `serengil` (of
deepface) and `rcmalli` (of keras-vggface, version 1). Their networks compute the same, but each wants its pictures in
another way, and Speech-to-face fed both in a third: the recipe is part of the configuration. Dropout is left out, since
nobody trains this network here.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, cast, get_args

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn import functional as F

from worker.ml.devices import inference_precision
from worker.ml.networks.pretrained import Encoder

Variant = Literal["serengil", "rcmalli"]
ChannelOrder = Literal["bgr", "rgb"]
Resize = Literal["pad", "stretch"]
_FACES_AT_ONCE = {"cpu": 8, "cuda": 128}


@dataclass(frozen=True)
class VGGFaceConfig:
    """Sizes, and how pictures are prepared.

    Attributes:
        variant: whose weights.
        channel_order: of the network's input.
        scale: what the 8-bit values are multiplied by.
        mean: what is taken away after that, in the network's order of channels.
        resize: `pad` keeps the proportions and adds black, `stretch` does not.
        image_size: side of the network's input in pixels.
        widths, depths: of the blocks of 3×3 convolutions; each block halves the sides at its end.
        embedding_length: width of fc6 and fc7.
        classes: of fc8.
    """

    variant: Variant = "serengil"
    channel_order: ChannelOrder = "bgr"
    scale: float = 1 / 255
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    resize: Resize = "pad"
    image_size: int = 224
    widths: tuple[int, ...] = (64, 128, 256, 512, 512)
    depths: tuple[int, ...] = (2, 2, 3, 3, 3)
    embedding_length: int = 4096
    classes: int = 2622
    embedding_space: str = "vgg_face_serengil"

    def __post_init__(self) -> None:
        choices = {"variant": Variant, "channel_order": ChannelOrder, "resize": Resize}
        for name, allowed in choices.items():
            if getattr(self, name) not in get_args(allowed):
                raise ValueError(f"{name} is one of {get_args(allowed)}, and not {getattr(self, name)!r}")
        if self.image_size >> len(self.widths) < 1:
            raise ValueError(f"{len(self.widths)} blocks leave nothing of {self.image_size} pixels")

    @classmethod
    def of(cls, variant: Variant, *, compat: Literal["original"] | None = None) -> VGGFaceConfig:
        """The recipe that a set of weights was trained with.

        Args:
            compat: `original` is what Speech-to-face fed to either: RGB from 0 to 1, stretched, no mean. Its decoders
                and voice encoders were trained on the embeddings that come of it, so they are a space of their own.
        """
        if compat == "original":
            return cls(
                variant,
                channel_order="rgb",
                resize="stretch",
                embedding_space=f"vgg_face_{variant}_original",
            )
        if variant == "serengil":
            return cls(variant)
        return cls(
            variant,
            scale=1.0,
            mean=(93.5940, 104.7624, 129.1863),
            resize="stretch",
            embedding_space="vgg_face_rcmalli",
        )


class VGGFace(Encoder):
    """Prepared faces `[B, 3, S, S]` -> embeddings `[B, embedding_length]`, none below zero."""

    kind: ClassVar[str] = "vgg_face"
    Config = VGGFaceConfig
    input: ClassVar[Literal["voice", "face"]] = "face"
    config: VGGFaceConfig

    def __init__(self, config: VGGFaceConfig = VGGFaceConfig()) -> None:
        super().__init__(config)
        body: OrderedDict[str, nn.Module] = OrderedDict()
        before = 3
        for block, (width, depth) in enumerate(zip(config.widths, config.depths, strict=True), start=1):
            for number in range(1, depth + 1):
                body[f"conv{block}_{number}"] = nn.Conv2d(before, width, 3, padding=1)
                body[f"relu{block}_{number}"] = nn.ReLU(inplace=True)
                before = width
            body[f"pool{block}"] = nn.MaxPool2d(2)
        self.body = nn.Sequential(body)
        side = config.image_size >> len(config.widths)
        self.fc6 = nn.Linear(before * side * side, config.embedding_length)
        self.fc7 = nn.Linear(config.embedding_length, config.embedding_length)
        self.fc8 = nn.Linear(config.embedding_length, config.classes)

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        hidden = F.relu(self.fc6(self.body(pictures).flatten(1)))
        return F.relu(self.fc7(hidden))

    def class_logits(self, embeddings: torch.Tensor) -> torch.Tensor:
        """Who of the training set it would be, before the softmax. `[B, embedding_length]` -> `[B, classes]`."""
        return cast(torch.Tensor, self.fc8(embeddings))

    @torch.inference_mode()
    def encode(self, inputs: Sequence[npt.NDArray[np.uint8]]) -> torch.Tensor:
        embeddings = [torch.empty(0, self.embedding_length, device=self.device)]
        at_once = _FACES_AT_ONCE.get(self.device.type, 1)
        for start in range(0, len(inputs), at_once):
            pictures = prepared_faces(inputs[start : start + at_once], self.config, self.device)
            with inference_precision(self.device, self.precision):
                embeddings.append(self(pictures).float())
        return torch.cat(embeddings)


def prepared_faces(
    faces: Sequence[npt.NDArray[np.uint8]], config: VGGFaceConfig, device: torch.device
) -> torch.Tensor:
    """Pictures uint8 RGB `[H, W, 3]` of any sizes -> the network's input, float32 `[N, 3, S, S]`.

    Pictures are scaled bilinearly, averaging where they shrink. Padding is black before the mean is taken away.

    Raises:
        ValueError: a picture of another shape or type.
    """
    size = config.image_size
    pixels = torch.zeros(len(faces), 3, size, size, device=device)
    for row, face in zip(pixels, faces, strict=True):
        if face.ndim != 3 or face.shape[2] != 3 or face.dtype != np.uint8 or 0 in face.shape:
            raise ValueError(f"a face must be uint8 RGB [H, W, 3] and is {face.dtype} {list(face.shape)}")
        picture = torch.from_numpy(np.array(face)).to(device).permute(2, 0, 1)[None].float()
        height, width = face.shape[:2]
        inner = (size, size)
        if config.resize == "pad":
            zoom = min(size / height, size / width)
            inner = (max(1, int(height * zoom)), max(1, int(width * zoom)))
        if (height, width) != inner:
            picture = F.interpolate(picture, inner, mode="bilinear", antialias=True)
        top, left = (size - inner[0]) // 2, (size - inner[1]) // 2
        row[:, top : top + inner[0], left : left + inner[1]] = picture[0]
    return normalised_faces(pixels, config)


def normalised_faces(pixels: torch.Tensor, config: VGGFaceConfig) -> torch.Tensor:
    """RGB from 0 to 255, `[N, 3, S, S]`, as the network wants it; gradients pass, for losses on drawn faces."""
    if config.channel_order == "bgr":
        pixels = pixels.flip(1)
    return pixels * config.scale - pixels.new_tensor(config.mean)[:, None, None]


def original_keys(config: VGGFaceConfig) -> Iterator[tuple[str, str]]:
    """Pairs of our name for a tensor and the original's, in the original's order."""
    numbers = [(block, n) for block, depth in enumerate(config.depths, start=1) for n in range(1, depth + 1)]
    ours = [*(f"body.conv{block}_{n}" for block, n in numbers), "fc6", "fc7", "fc8"]
    # Where the weights sit in each of its layers, beside what has none.
    places = {"serengil": [1] * len(numbers) + [0, 0, 1], "rcmalli": [0] * len(numbers) + [1, 0, 0]}
    for layer, (name, place) in enumerate(zip(ours, places[config.variant], strict=True), start=1):
        for end in ("weight", "bias"):
            yield f"{name}.{end}", f"layer{layer}.{place}.{end}"
