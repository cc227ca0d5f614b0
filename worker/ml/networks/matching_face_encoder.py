"""The face encoder that is trained by matching faces with voices.

A reconstruction, like the speech encoder it is trained with (`matching_speech_encoder.py`): the description (Choi, Park
and Lee, arXiv 2004.05830) speaks of a residual network in the style of Mescheder et al. (arXiv 1801.04406), and their
discriminator is what is built here, with a linear head. Every size is a configuration value.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn import functional as F

from worker.ml.devices import inference_precision
from worker.ml.networks.face_trunk import FaceTrunk
from worker.ml.networks.pretrained import Encoder

_FACES_AT_ONCE = 64


@dataclass(frozen=True)
class MatchingFaceEncoderConfig:
    """Sizes and recipe.

    Attributes:
        embedding_length: D.
        embedding_space: shared by the two encoders that were trained together.
        unit_norm: whether embeddings have unit length.
        image_size: side of the faces in pixels.
        smallest_size: side at which the features are flattened; `image_size` over a power of two.
        base_channels, max_channels: width at full size, doubled at every halving up to the cap.
    """

    embedding_length: int = 128
    embedding_space: str = "matching"
    unit_norm: bool = True
    image_size: int = 128
    smallest_size: int = 4
    base_channels: int = 64
    max_channels: int = 512


class MatchingFaceEncoder(Encoder):
    """Faces `[B, 3, S, S]`, RGB, -1 to 1 -> embeddings `[B, D]`. Trunk of 12.0 and head of 1.05 million parameters.

    A reconstruction from a published description; see the module.
    """

    kind: ClassVar[str] = "matching_face_encoder"
    Config: ClassVar[type[Any]] = MatchingFaceEncoderConfig
    input: ClassVar[Literal["voice", "face"]] = "face"
    config: MatchingFaceEncoderConfig

    def __init__(self, config: MatchingFaceEncoderConfig) -> None:
        super().__init__(config)
        self.trunk = FaceTrunk(
            config.image_size, config.smallest_size, config.base_channels, config.max_channels
        )
        self.head = nn.Linear(self.trunk.features, config.embedding_length)

    def forward(self, faces: torch.Tensor) -> torch.Tensor:
        embeddings: torch.Tensor = self.head(self.trunk(faces)).float()
        return F.normalize(embeddings, dim=1) if self.config.unit_norm else embeddings

    def encode(self, inputs: Sequence[npt.NDArray[Any]]) -> torch.Tensor:
        """Embed pictures of any size: each is cut to its central square and resized."""
        answer = torch.zeros(len(inputs), self.embedding_length, device=self.device)
        for start in range(0, len(inputs), _FACES_AT_ONCE):
            some = inputs[start : start + _FACES_AT_ONCE]
            faces = torch.stack([self._prepared(picture) for picture in some])
            with torch.no_grad(), inference_precision(self.device, self.precision):
                answer[start : start + len(some)] = self(faces)
        return answer

    def _prepared(self, picture: npt.NDArray[Any]) -> torch.Tensor:
        """uint8 RGB `[H, W, 3]` -> `[3, S, S]`, -1 to 1, on the network's device."""
        if picture.ndim != 3 or picture.shape[2] != 3 or picture.dtype != np.uint8 or 0 in picture.shape:
            raise ValueError(
                f"A uint8 picture of shape [H, W, 3] is needed, not {picture.dtype} {picture.shape}."
            )
        side = min(picture.shape[:2])
        top, left = (picture.shape[0] - side) // 2, (picture.shape[1] - side) // 2
        square = np.ascontiguousarray(picture[top : top + side, left : left + side])
        values = torch.from_numpy(square).to(self.device).permute(2, 0, 1)[None].float() / 127.5 - 1
        size = self.config.image_size
        if side != size:
            values = F.interpolate(values, (size, size), mode="bilinear", align_corners=False, antialias=True)
        return values[0]
