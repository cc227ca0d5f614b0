"""Small heads on frozen pretrained encoders: how a few thousand people suffice to match voices with faces.

A head holds the encoder it stands on, so its folder is complete in itself and it encodes recordings or pictures like
any other encoder. Only the head is trained: `forward` takes what the encoder beneath answers, which a training works
out once.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar, Literal, cast

import numpy.typing as npt
import torch
from torch import nn
from torch.nn import functional as F

from worker.ml.networks.matching_speech_encoder import FIRST_SCALE, scale_of_scores
from worker.ml.networks.pretrained import Encoder, config_from

_LEAST_DEVIATION = 1e-6  # a feature that never changes says nothing, and is not blown up


@dataclass(frozen=True)
class VoiceHeadConfig:
    """Sizes.

    Attributes:
        base_kind: which kind of encoder is beneath.
        base: its configuration, as far as it is not the default one.
        hidden_length: width of the layer in between; 0: the head is a linear map.
        dropout: share of features that are left out in training.
        unit_norm: whether embeddings have unit length.
    """

    base_kind: str = "ge2e"
    base: dict[str, Any] = field(default_factory=dict)
    hidden_length: int = 0
    dropout: float = 0.0
    embedding_length: int = 128
    embedding_space: str = "matching"
    unit_norm: bool = True


@dataclass(frozen=True)
class FaceHeadConfig(VoiceHeadConfig):
    """Sizes, see `VoiceHeadConfig`."""

    base_kind: str = "matching_face_encoder"


class Head(Encoder):
    """Features of the encoder beneath `[B, F]` -> embeddings `[B, D]`.

    Attributes:
        base: the encoder beneath, without gradients and in evaluation mode whatever becomes of the head.
    """

    config: VoiceHeadConfig

    def __init__(self, config: VoiceHeadConfig) -> None:
        super().__init__(config)
        from worker.ml.networks.catalogue import KINDS

        found = KINDS.get(config.base_kind)
        if found is None or found.role not in ("voice_encoder", "face_encoder"):
            raise ValueError(f"there is no encoder {config.base_kind!r} to stand on")
        base_class = found.network_class()
        self.base = cast(Encoder, base_class(config_from(base_class.Config, config.base)))
        if self.base.input != self.input:
            raise ValueError(f"a {config.base_kind} encodes {self.base.input}s and not {self.input}s")
        self.base.requires_grad_(False).eval()
        width = self.base.embedding_length
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("deviation", torch.ones(width))
        self.dropout = nn.Dropout(config.dropout)
        layers: list[nn.Module] = []
        if config.hidden_length:
            layers = [nn.Linear(width, config.hidden_length), nn.GELU(), nn.Dropout(config.dropout)]
            width = config.hidden_length
        self.layers = nn.Sequential(*layers, nn.Linear(width, config.embedding_length))

    def train(self, mode: bool = True) -> Head:
        super().train(mode)
        if self._modules["base"] is not None:
            self.base.eval()
        return self

    def set_base(self, base: Encoder) -> None:
        """Stand on an encoder of the configuration that this head was made for."""
        self.base = base.requires_grad_(False).eval()

    def take_base(self) -> Encoder:
        """Lift the head off: what is beneath does not learn and may be large, so checkpoints do without it."""
        base = self.base
        self._modules["base"] = None
        return base

    def set_statistics(self, features: torch.Tensor) -> None:
        """Mean and deviation of training features `[N, F]`, which the head takes out."""
        self.get_buffer("mean").copy_(features.double().mean(dim=0))
        deviation = features.double().std(dim=0, correction=0)
        self.get_buffer("deviation").copy_(torch.where(deviation > _LEAST_DEVIATION, deviation, 1.0))

    @property
    def clip_seconds(self) -> float:
        return self.base.clip_seconds

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        centred = (features - self.get_buffer("mean")) / self.get_buffer("deviation")
        embeddings: torch.Tensor = self.layers(self.dropout(centred)).float()
        return F.normalize(embeddings, dim=1) if self.config.unit_norm else embeddings

    def encode(self, inputs: Sequence[npt.NDArray[Any]]) -> torch.Tensor:
        with torch.no_grad():
            # A copy: what was made in inference mode does not go everywhere.
            return cast(torch.Tensor, self(self.base.encode(inputs).clone().float()))


class VoiceHead(Head):
    """Features of an encoder of voices `[B, F]` -> embeddings `[B, D]`.

    Attributes:
        log_scale: as `MatchingSpeechEncoder`'s.
    """

    kind: ClassVar[str] = "voice_head"
    Config: ClassVar[type[Any]] = VoiceHeadConfig
    input: ClassVar[Literal["voice", "face"]] = "voice"

    def __init__(self, config: VoiceHeadConfig = VoiceHeadConfig()) -> None:
        super().__init__(config)
        if config.unit_norm:
            self.log_scale = nn.Parameter(torch.tensor(math.log(FIRST_SCALE)))

    @property
    def scale(self) -> torch.Tensor:
        """What scores are multiplied by before a softmax; 1 without `unit_norm`."""
        if not self.config.unit_norm:
            return torch.ones((), device=self.device)
        return scale_of_scores(self.log_scale)


class FaceHead(Head):
    """Features of an encoder of faces `[B, F]` -> embeddings `[B, D]`."""

    kind: ClassVar[str] = "face_head"
    Config: ClassVar[type[Any]] = FaceHeadConfig
    input: ClassVar[Literal["voice", "face"]] = "face"

    def __init__(self, config: FaceHeadConfig = FaceHeadConfig()) -> None:
        super().__init__(config)


def described(base: Encoder) -> dict[str, Any]:
    """The values of a head's configuration that say what it stands on."""
    return {"base_kind": base.kind, "base": asdict(base.config)}
