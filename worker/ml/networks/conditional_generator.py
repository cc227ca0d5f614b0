"""The generator: from what a voice tells, and noise for what it does not tell, to a face.

A reconstruction: the tables of the work that describes it (Choi, Park and Lee, arXiv 2004.05830) could not be had. The
speech embedding stands where a conditional GAN has the embedding of a class, divided by its length as in the published
code of Mescheder et al. (arXiv 1801.04406), whose residual generator this is. Every size is a configuration value.
Stronger conditioning, in every block, is offered beside it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import nn
from torch.nn import functional as F

from worker.ml.devices import inference_precision
from worker.ml.networks.face_trunk import trunk_channels
from worker.ml.networks.pretrained import Decoder, Pictures
from worker.ml.networks.residual import Conditioning, ResidualBlock, activation

_FACES_AT_ONCE = 64


@dataclass(frozen=True)
class ConditionalGeneratorConfig:
    """Sizes and recipe.

    Attributes:
        embedding_length, embedding_space: of the condition c.
        noise_length: of z.
        image_size: side of the faces in pixels.
        smallest_size: side of the first feature map; `image_size` over a power of two.
        base_channels, max_channels: width at full size, doubled at every halving up to the cap.
        conditioning: `input`: z and c enter at the first layer alone. `batch_norm`, `adain`: and through norms in every
            block.
    """

    embedding_length: int = 128
    embedding_space: str = "matching"
    noise_length: int = 128
    image_size: int = 128
    smallest_size: int = 4
    base_channels: int = 64
    max_channels: int = 512
    conditioning: Conditioning = "input"


class ConditionalGenerator(Decoder):
    """Noise `[B, noise_length]` and conditions `[B, D]` -> faces `[B, 3, S, S]`, RGB, -1 to 1. 14.1 million parameters.

    A reconstruction from a published description; see the module.
    """

    kind: ClassVar[str] = "conditional_generator"
    Config: ClassVar[type[Any]] = ConditionalGeneratorConfig
    takes_noise: ClassVar[bool] = True
    config: ConditionalGeneratorConfig

    def __init__(self, config: ConditionalGeneratorConfig) -> None:
        super().__init__(config)
        if config.conditioning not in ("input", "batch_norm", "adain"):
            raise ValueError(
                f"there is no conditioning {config.conditioning!r}; use input, batch_norm or adain"
            )
        widths = trunk_channels(
            config.image_size, config.smallest_size, config.base_channels, config.max_channels
        )[::-1]
        condition = config.noise_length + config.embedding_length
        self.first = nn.Linear(condition, widths[0] * config.smallest_size**2)
        self.blocks = nn.ModuleList(
            ResidualBlock(
                inside,
                outside,
                condition=0 if config.conditioning == "input" else condition,
                conditioning=config.conditioning,
            )
            for inside, outside in zip(widths, [*widths[1:], widths[-1]], strict=True)
        )
        self.last = nn.Conv2d(widths[-1], 3, 3, padding=1)

    def forward(self, noise: torch.Tensor, conditions: torch.Tensor) -> torch.Tensor:
        """The length of a condition makes no difference, only its direction."""
        latent = torch.cat([noise, F.normalize(conditions, dim=1)], dim=1)
        size = self.config.smallest_size
        values = self.first(latent).unflatten(1, (-1, size, size))
        for level, block in enumerate(self.blocks):
            if level:
                values = F.interpolate(values, scale_factor=2.0, mode="nearest")
            values = block(values, latent)
        return torch.tanh(self.last(activation(values)).float())

    def noise(self, rows: int, generator: torch.Generator) -> torch.Tensor:
        """Fresh noise `[rows, noise_length]`; drawn on the CPU, so that a seed means the same on every device."""
        return torch.randn(rows, self.config.noise_length, generator=generator).to(self.device)

    def decode(self, embeddings: torch.Tensor, seed: int = 0) -> Pictures:
        same = self.noise(1, torch.Generator().manual_seed(seed))
        return self.decode_with_noise(embeddings, same.expand(len(embeddings), -1))

    def decode_with_noise(self, embeddings: torch.Tensor, noise: torch.Tensor) -> Pictures:
        """As `decode`, with a noise of its own for every row: `[N, noise_length]`."""
        parts = []
        for some, accidents in zip(
            torch.split(embeddings.to(self.device), _FACES_AT_ONCE),
            torch.split(noise.to(self.device), _FACES_AT_ONCE),
            strict=True,
        ):
            with torch.no_grad(), inference_precision(self.device, self.precision):
                faces = self(accidents, some)
            parts.append(((faces + 1) * 127.5).round().to(torch.uint8).permute(0, 2, 3, 1).cpu())
        return Pictures(torch.cat(parts).contiguous().numpy())
