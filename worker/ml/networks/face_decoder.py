"""FaceDecoder: draws a frontal, neutral face from an embedding of VGG-Face, with the places of its 72 landmarks.

Of Kacper-Pietkun/Speech-to-face (MIT), after Cole et al., "Synthesizing Normalized Faces from Facial Identity
Features", CVPR 2017, arXiv 1701.04851. The warp that Cole et al. have and Speech-to-face lacks is here, as a switch:
the texture is then drawn for a mean face and moved to the predicted landmarks (`landmark_warp.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar, Literal, cast

import torch
from torch import nn

from worker.ml.devices import inference_precision
from worker.ml.networks.landmark_warp import POINTS, move_landmarks
from worker.ml.networks.pretrained import Decoder, Pictures

_PICTURES_AT_ONCE = {"cpu": 8, "cuda": 128}


@dataclass(frozen=True)
class FaceDecoderConfig:
    """Sizes, and how pictures come about.

    Attributes:
        shared_lengths: widths of the layers that both heads share; the last is what voice encoders are compared in.
        landmark_lengths: widths of the layers before the landmarks.
        texture_side: side of the smallest texture in pixels; each transposed convolution doubles it.
        texture_widths: channels of the textures from the smallest to the largest.
        warp: whether the texture is moved to the predicted landmarks.
        warp_order: 1 or 2, of the spline.
        warp_regularisation: above zero, the spline need not meet the landmarks exactly.
        warp_border_points: points on each edge of the picture that stay where they are; 1 are the corners.
    """

    embedding_length: int = 4096
    shared_lengths: tuple[int, ...] = (3072, 2048)
    landmark_lengths: tuple[int, ...] = (1024, 512, 256)
    texture_side: int = 14
    texture_widths: tuple[int, ...] = (256, 128, 64, 32, 32)
    warp: bool = False
    warp_order: Literal[1, 2] = 2
    warp_regularisation: float = 0.0
    warp_border_points: int = 1
    embedding_space: str = "vgg_face_serengil"

    def __post_init__(self) -> None:
        if self.warp_order not in (1, 2):
            raise ValueError(f"warp_order is 1 or 2, and not {self.warp_order}")

    @property
    def image_size(self) -> int:
        """Side of a picture in pixels."""
        return int(self.texture_side << (len(self.texture_widths) - 1))


class FaceDecoder(Decoder):
    """Embeddings `[B, embedding_length]` -> landmarks `[B, 144]` and texture `[B, 3, S, S]` from 0 to 1.

    Landmarks are x0, y0, x1, … in pixels of the picture, in the order of `landmark_warp.DLIB_ORDER`. Parts have the
    names of the original's checkpoints. With `config.warp` there is one more tensor, `mean_landmarks` `[72, 2]`: where
    the landmarks lie in the texture. `set_mean_landmarks` is to be called before anything is drawn.
    """

    kind: ClassVar[str] = "face_decoder"
    Config = FaceDecoderConfig
    config: FaceDecoderConfig

    def __init__(self, config: FaceDecoderConfig = FaceDecoderConfig()) -> None:
        super().__init__(config)
        self.pre_layers = _dense_layers([config.embedding_length, *config.shared_lengths])
        shared = config.shared_lengths[-1]
        self.landmark_layers = _dense_layers([shared, *config.landmark_lengths])
        last = config.landmark_lengths[-1] if config.landmark_lengths else shared
        self.landmark_layers.append(nn.Sequential(nn.Linear(last, 2 * POINTS)))
        self.texture_layers = _texture_layers(config)
        if config.warp:
            self.register_buffer("mean_landmarks", torch.zeros(POINTS, 2))

    def set_mean_landmarks(self, landmarks: torch.Tensor) -> None:
        """Where the landmarks lie in the texture: their means over the training data, `[72, 2]`, in pixels."""
        self.get_buffer("mean_landmarks").copy_(landmarks)

    def first_layers(self, embeddings: torch.Tensor) -> torch.Tensor:
        """What both heads share, `[B, shared_lengths[-1]]`: voice encoders are trained to agree with it."""
        return cast(torch.Tensor, self.pre_layers(embeddings))

    def forward(self, embeddings: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        shared = self.first_layers(embeddings)
        return self.landmark_layers(shared), self.texture_layers(shared)

    def draw(self, embeddings: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """As `forward`, but the picture in place of the texture: warped if so configured, and differentiable."""
        landmarks, texture = self(embeddings)
        if self.config.warp:
            texture = move_landmarks(
                texture.float(),
                self.get_buffer("mean_landmarks").expand(len(texture), -1, -1),
                landmarks.float().reshape(-1, POINTS, 2),
                order=self.config.warp_order,
                regularisation=self.config.warp_regularisation,
                border_points=self.config.warp_border_points,
            )
        return landmarks, texture

    @torch.inference_mode()
    def decode(self, embeddings: torch.Tensor, seed: int = 0) -> Pictures:
        size = self.config.image_size
        pictures = [torch.empty(0, size, size, 3, dtype=torch.uint8)]
        points = [torch.empty(0, POINTS, 2)]
        for few in torch.split(embeddings.to(self.device), _PICTURES_AT_ONCE.get(self.device.type, 1)):
            with inference_precision(self.device, self.precision):
                landmarks, drawn = self.draw(few)
            levels = drawn.float().mul(255).round().clamp(0, 255).to(torch.uint8)
            pictures.append(levels.permute(0, 2, 3, 1).cpu())
            points.append(landmarks.float().reshape(-1, POINTS, 2).cpu())
        return Pictures(torch.cat(pictures).numpy(), torch.cat(points).numpy())


def _dense_layers(lengths: Sequence[int]) -> nn.Sequential:
    return nn.Sequential(
        *(
            nn.Sequential(nn.Linear(before, after), nn.BatchNorm1d(after), nn.ReLU())
            for before, after in pairwise(lengths)
        )
    )


def _texture_layers(config: FaceDecoderConfig) -> nn.Sequential:
    side, widths = config.texture_side, config.texture_widths
    layers = nn.Sequential(
        nn.Sequential(nn.Linear(config.shared_lengths[-1], widths[0] * side * side), nn.ReLU())
    )
    for number, (before, after) in enumerate(pairwise(widths)):
        doubling = nn.ConvTranspose2d(before, after, 5, stride=2, padding=2, output_padding=1)
        reshape = [nn.Unflatten(1, (widths[0], side, side))] if number == 0 else []
        layers.append(nn.Sequential(*reshape, doubling, nn.ReLU()))
    layers.append(nn.Sequential(nn.Conv2d(widths[-1], 3, 1), nn.Sigmoid()))
    return layers
