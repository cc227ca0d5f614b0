"""VE_conv: the convolutional voice encoder of Speech2Face, as Speech-to-face trained it.

Oh et al., "Speech2Face", CVPR 2019, arXiv 1905.09773; geometry and loudness of Kacper-Pietkun/Speech-to-face (MIT).
It hears a compressed spectrogram and predicts the VGG-Face embedding of the speaker.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from worker.ml.devices import inference_precision
from worker.ml.networks.pretrained import Encoder
from worker.ml.voice_spectrograms import SpectrogramRecipe, compressed_spectrograms, fill_windows

_CLIPS_AT_ONCE = {"cpu": 4, "cuda": 64}  # a 6 s clip needs 0.3 GB while it passes through in float32
_KERNEL = 4


@dataclass(frozen=True)
class VEConvConfig(SpectrogramRecipe):
    """Sizes, and the recipe of the spectrogram.

    Attributes:
        widths, strides: of the 4×4 convolutions, one after the other.
        pooled: for each, whether the time axis is halved after it. Frequencies are never pooled.
        hidden_length: width of the layer before the embedding.
        final_relu: whether the embedding is cut at zero, as VGG-Face's is. Without, units cannot die in training;
            compare the ReLU of the answer with the target then.
    """

    widths: tuple[int, ...] = (64, 64, 128, 128, 128, 256, 512, 512, 512)
    strides: tuple[int, ...] = (1, 1, 1, 1, 1, 1, 1, 2, 2)
    pooled: tuple[bool, ...] = (False, False, True, True, True, True, False, False, False)
    hidden_length: int = 4096
    embedding_length: int = 4096
    final_relu: bool = True
    embedding_space: str = "vgg_face_serengil"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not len(self.widths) == len(self.strides) == len(self.pooled) > 0:
            raise ValueError("widths, strides and pooled must name the same number of layers")

        frames = self.frames
        for stride, pooled in zip(self.strides, self.pooled, strict=True):
            frames = ((frames - _KERNEL) // stride + 1) // (2 if pooled else 1)
        if self.bins_left < 1 or frames < 1:
            raise ValueError(
                f"{len(self.strides)} convolutions leave nothing of {self.bins} frequencies and {self.frames} frames"
            )

    @property
    def bins_left(self) -> int:
        """Number of frequencies after the last convolution."""
        left = self.bins
        for stride in self.strides:
            left = (left - _KERNEL) // stride + 1
        return left


class VEConv(Encoder):
    """Spectrograms `[B, 2, bins, frames]` -> embeddings `[B, embedding_length]`.

    The mean over time after the last convolution lets any number of frames in, from 259 up with the default sizes.
    Parts have the names of the original's checkpoints, below `layers`.
    """

    kind: ClassVar[str] = "ve_conv"
    Config = VEConvConfig
    input: ClassVar[Literal["voice", "face"]] = "voice"
    config: VEConvConfig

    def __init__(self, config: VEConvConfig = VEConvConfig()) -> None:
        super().__init__(config)
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        before = 2
        last = len(config.widths)
        for number, (width, stride, pooled) in enumerate(
            zip(config.widths, config.strides, config.pooled, strict=True), start=1
        ):
            parts: list[nn.Module] = [nn.Conv2d(before, width, _KERNEL, stride)]
            if number == last:
                parts.append(nn.AdaptiveAvgPool2d((None, 1)))
            parts += [nn.ReLU(), nn.BatchNorm2d(width)]
            if pooled:
                parts.append(nn.MaxPool2d((1, 2)))
            layers[f"layer{number}"] = nn.Sequential(*parts)
            before = width
        flat = before * config.bins_left
        layers[f"layer{last + 1}"] = nn.Sequential(
            nn.Flatten(), nn.Linear(flat, config.hidden_length), nn.ReLU()
        )
        head: list[nn.Module] = [nn.Linear(config.hidden_length, config.embedding_length)]
        layers[f"layer{last + 2}"] = nn.Sequential(*head, *([nn.ReLU()] if config.final_relu else []))
        self.layers = nn.Sequential(layers)

    @property
    def clip_seconds(self) -> float:
        return self.config.seconds

    def forward(self, spectrograms: torch.Tensor) -> torch.Tensor:
        return cast(torch.Tensor, self.layers(spectrograms))

    def features(self, waveforms: Sequence[npt.NDArray[np.float32]]) -> torch.Tensor:
        """What the network hears of waveforms `[T]`: `[N, 2, bins, frames]` on its device."""
        windows = torch.from_numpy(fill_windows(waveforms, self.config)).to(self.device)
        return compressed_spectrograms(windows, self.config)

    def embed(self, features: torch.Tensor) -> torch.Tensor:
        """Embeddings float32 of `features`, a few clips at a time, with as many bits as the device is quick with."""
        parts = []
        # With channels last a CPU takes a quarter less time, for the same sums.
        order = torch.channels_last if self.device.type == "cpu" else torch.contiguous_format
        for few in torch.split(features, _CLIPS_AT_ONCE.get(self.device.type, 1)):
            with inference_precision(self.device, self.precision):
                parts.append(self(few.contiguous(memory_format=order)).float())
        return torch.cat(parts)

    @torch.inference_mode()
    def encode(self, inputs: Sequence[npt.NDArray[np.float32]]) -> torch.Tensor:
        embeddings = [torch.empty(0, self.embedding_length, device=self.device)]
        at_once = _CLIPS_AT_ONCE.get(self.device.type, 1)
        for start in range(0, len(inputs), at_once):
            embeddings.append(self.embed(self.features(inputs[start : start + at_once])))
        return torch.cat(embeddings)


def original_key(key: str) -> str:
    """The name in the original's checkpoints of one of `VEConv().state_dict()`."""
    return key.removeprefix("layers.")
