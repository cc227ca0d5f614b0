"""The discriminator: whether a face is real, and whether it goes with a voice.

A reconstruction: the tables of the work that describes it (Choi, Park and Lee, arXiv 2004.05830) could not be had.
Built here is a projection discriminator (Miyato and Koyama, arXiv 1802.05637) on the trunk of the matching face
encoder, which the description says is where it starts from. Every size is a configuration value.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Self

import torch
from torch import nn
from torch.nn import functional as F

from worker.ml.networks.face_trunk import FaceTrunk
from worker.ml.networks.matching_face_encoder import MatchingFaceEncoder
from worker.ml.networks.pretrained import Network


@dataclass(frozen=True)
class ProjectionDiscriminatorConfig:
    """Sizes.

    Attributes:
        embedding_length: of the condition c.
        image_size: side of the faces in pixels.
        smallest_size: side at which the features are flattened; `image_size` over a power of two.
        base_channels, max_channels: width at full size, doubled at every halving up to the cap.
    """

    embedding_length: int = 128
    image_size: int = 128
    smallest_size: int = 4
    base_channels: int = 64
    max_channels: int = 512


class ProjectionDiscriminator(Network):
    """D(f, c) = w·h(f) + <U h(f), c/|c|>: faces `[B, 3, S, S]`, -1 to 1, and conditions `[B, D]` -> scores `[B]`.

    h are the features of the trunk; w and U have no bias. A reconstruction from a description, see the module.
    """

    kind: ClassVar[str] = "projection_discriminator"
    Config: ClassVar[type[Any]] = ProjectionDiscriminatorConfig
    config: ProjectionDiscriminatorConfig

    def __init__(self, config: ProjectionDiscriminatorConfig) -> None:
        super().__init__(config)
        self.trunk = FaceTrunk(
            config.image_size, config.smallest_size, config.base_channels, config.max_channels
        )
        self.realness = nn.Linear(self.trunk.features, 1, bias=False)
        self.projection = nn.Linear(self.trunk.features, config.embedding_length, bias=False)

    @classmethod
    def from_face_encoder(
        cls,
        face_encoder: MatchingFaceEncoder,
        *,
        embedding_length: int | None = None,
        with_head: bool = False,
    ) -> Self:
        """A discriminator in training mode whose trunk begins as a copy of the encoder's, on the encoder's device.

        Args:
            embedding_length: of the condition; that of the encoder's own embeddings unless something else is said.
            with_head: copy the weights of the encoder's head into U as well, so that faces and voices that match
                score higher from the first step on.
        """
        sizes = face_encoder.config
        discriminator = cls(
            cls.Config(
                embedding_length=embedding_length or sizes.embedding_length,
                image_size=sizes.image_size,
                smallest_size=sizes.smallest_size,
                base_channels=sizes.base_channels,
                max_channels=sizes.max_channels,
            )
        )
        discriminator.trunk.load_state_dict(face_encoder.trunk.state_dict())
        if with_head:
            discriminator.projection.load_state_dict({"weight": face_encoder.head.weight.detach()})
        return discriminator.to(face_encoder.device)

    def forward(self, faces: torch.Tensor, conditions: torch.Tensor) -> torch.Tensor:
        return self.scores(self.trunk(faces), conditions)

    def scores(self, features: torch.Tensor, conditions: torch.Tensor) -> torch.Tensor:
        """Scores `[B]` of `trunk` features `[B, features]`: a face judged with two conditions is looked at once."""
        directions = F.normalize(conditions, dim=1)
        realness: torch.Tensor = self.realness(features).squeeze(1)
        agreement: torch.Tensor = (self.projection(features) * directions).sum(dim=1)
        return (realness + agreement).float()
