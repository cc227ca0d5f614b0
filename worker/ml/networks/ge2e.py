"""The default model's voice encoder as a network of its own: who speaks, whatever the words.

GE2E (Wan et al., arXiv 1710.10467; weights published with Resemblyzer under Apache-2.0). It is never trained here;
heads are trained on what it hears (`heads.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, Self, cast

import numpy as np
import numpy.typing as npt
import torch

from worker.ml.networks.pretrained import Encoder, Identity
from worker.ml.speech_to_face import SpeechToFace
from worker.ml.voice_encoder import VoiceEncoder, mean_per_clip
from worker.ml.voice_features import MelPower, cut_windows

_CLIPS_AT_ONCE = {"cpu": 32, "cuda": 512}


@dataclass(frozen=True)
class GE2EConfig:
    """Sizes and recipe.

    Attributes:
        hidden, layers: of the LSTM.
        clip_seconds: how much of a recording is heard, pauses shortened.
    """

    hidden: int = 256
    layers: int = 3
    embedding_length: int = 256
    clip_seconds: float = 6.4
    embedding_space: str = "ge2e"


class GE2E(Encoder):
    """Mel power `[N, 160, 40]` of windows of 1.6 s -> embeddings `[N, D]`, none below zero, of unit length.

    `encode` takes the mean over a clip's windows.
    """

    kind: ClassVar[str] = "ge2e"
    Config: ClassVar[type[Any]] = GE2EConfig
    input: ClassVar[Literal["voice", "face"]] = "voice"
    config: GE2EConfig

    def __init__(self, config: GE2EConfig = GE2EConfig()) -> None:
        super().__init__(config)
        self.mel_power = MelPower()
        self.voice_encoder = VoiceEncoder(config.hidden, config.layers, config.embedding_length)

    @classmethod
    def from_default_model(cls, folder: Path) -> Self:
        """The voice encoder within a folder of the default model, frozen, on the CPU."""
        whole = SpeechToFace.from_pretrained(folder, "cpu")
        sizes = whole.config.voice_encoder
        network = cls(GE2EConfig(sizes["hidden"], sizes["layers"], sizes["embedding"], whole.clip_seconds))
        network.voice_encoder.load_state_dict(whole.voice_encoder.state_dict())
        # Of the whole file, which settles this part of it: what it hears can be kept under that name.
        network.identity = Identity(cls.kind, weights_sha256=whole.weights_sha256)
        return network.requires_grad_(False).eval()

    @property
    def clip_seconds(self) -> float:
        return self.config.clip_seconds

    def forward(self, mels: torch.Tensor) -> torch.Tensor:
        return cast(torch.Tensor, self.voice_encoder(mels))

    def encode(self, inputs: Sequence[npt.NDArray[Any]]) -> torch.Tensor:
        """Always in float32: it is small, and the default model runs it that way."""
        answers = [torch.empty(0, self.embedding_length, device=self.device)]
        at_once = _CLIPS_AT_ONCE.get(self.device.type, 1)
        for start in range(0, len(inputs), at_once):
            windows = [
                cut_windows(np.asarray(waveform, np.float32), self.config.clip_seconds)
                for waveform in inputs[start : start + at_once]
            ]
            together = torch.from_numpy(np.concatenate(windows)).to(self.device)
            with torch.no_grad(), torch.autocast(self.device.type, enabled=False):
                heard = self(self.mel_power(together))
                answers.append(mean_per_clip(heard, [len(part) for part in windows]))
        return torch.cat(answers)
