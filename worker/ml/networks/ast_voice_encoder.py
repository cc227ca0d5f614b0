"""AST as a voice encoder: an audio transformer with a head of the length of a VGG-Face embedding.

Gong, Chung, Glass, "AST: Audio Spectrogram Transformer", Interspeech 2021, arXiv 2104.01778, in the implementation of
Hugging Face transformers, as Speech-to-face used it. transformers is imported when the first one is built: that takes
seconds which nobody else should wait for.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn import functional as F

from worker.ml.devices import inference_precision
from worker.ml.networks.pretrained import Encoder
from worker.ml.voice_spectrograms import FilterBankRecipe, fill_windows, filter_banks

_CLIPS_AT_ONCE = {"cpu": 4, "cuda": 64}


@dataclass(frozen=True)
class ASTVoiceEncoderConfig(FilterBankRecipe):
    """Sizes, and the recipe of the filter bank, with the mean and deviation of the training data.

    Attributes:
        width, depth, heads, mlp_width: of the transformer.
        patch_size, stride: of the squares that the filter bank is cut into, the stride along both axes.
        initial_deviation: of the weights of a fresh head.
        final_relu: whether the embedding is cut at zero, as VGG-Face's is. Without, units cannot die in training;
            compare the ReLU of the answer with the target then.
    """

    width: int = 768
    depth: int = 12
    heads: int = 12
    mlp_width: int = 3072
    patch_size: int = 16
    stride: int = 10
    embedding_length: int = 4096
    initial_deviation: float = 0.02
    final_relu: bool = True
    embedding_space: str = "vgg_face_serengil"

    def __post_init__(self) -> None:
        if self.width % self.heads:
            raise ValueError(f"{self.heads} heads cannot share a width of {self.width} evenly")
        if min(self.frames, self.mel_bands) < self.patch_size:
            raise ValueError(f"no square of {self.patch_size} fits into {self.frames} × {self.mel_bands}")


class ASTHead(nn.Module):
    """Layer norm and a linear layer. `[B, width]` -> `[B, embedding_length]`."""

    def __init__(self, config: ASTVoiceEncoderConfig) -> None:
        super().__init__()
        self.layernorm = nn.LayerNorm(config.width, eps=1e-12)
        self.dense = nn.Linear(config.width, config.embedding_length)

    def forward(self, pooled: torch.Tensor) -> torch.Tensor:
        return cast(torch.Tensor, self.dense(self.layernorm(pooled)))


class ASTVoiceEncoder(Encoder):
    """Normalised filter banks `[B, frames, mel_bands]` -> embeddings `[B, embedding_length]`.

    Parts have the names of transformers' `ASTForAudioClassification`, so its checkpoints fit.
    """

    kind: ClassVar[str] = "ast"
    Config = ASTVoiceEncoderConfig
    input: ClassVar[Literal["voice", "face"]] = "voice"
    config: ASTVoiceEncoderConfig

    def __init__(self, config: ASTVoiceEncoderConfig = ASTVoiceEncoderConfig()) -> None:
        super().__init__(config)
        from transformers import ASTConfig, ASTModel

        self.audio_spectrogram_transformer: nn.Module = ASTModel(
            ASTConfig(
                hidden_size=config.width,
                num_hidden_layers=config.depth,
                num_attention_heads=config.heads,
                intermediate_size=config.mlp_width,
                patch_size=config.patch_size,
                frequency_stride=config.stride,
                time_stride=config.stride,
                max_length=config.frames,
                num_mel_bins=config.mel_bands,
            )
        )
        self.classifier = ASTHead(config)
        self.reset_head()

    def reset_head(self) -> None:
        """Give the linear layer of the head fresh weights, small ones: its first answers are to be small as well."""
        nn.init.trunc_normal_(self.classifier.dense.weight, std=self.config.initial_deviation)
        nn.init.zeros_(self.classifier.dense.bias)

    @property
    def clip_seconds(self) -> float:
        return self.config.seconds

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        embeddings = self.classifier(self.audio_spectrogram_transformer(features).pooler_output)
        return F.relu(embeddings) if self.config.final_relu else embeddings

    def features(self, waveforms: Sequence[npt.NDArray[np.float32]]) -> torch.Tensor:
        """What the network hears of waveforms `[T]`: `[N, frames, mel_bands]` on its device."""
        windows = torch.from_numpy(fill_windows(waveforms, self.config)).to(self.device)
        return filter_banks(windows, self.config)

    def embed(self, features: torch.Tensor) -> torch.Tensor:
        """Embeddings float32 of `features`, a few clips at a time, with as many bits as the device is quick with."""
        parts = []
        for few in torch.split(features, _CLIPS_AT_ONCE.get(self.device.type, 1)):
            with inference_precision(self.device, self.precision):
                parts.append(self(few).float())
        return torch.cat(parts)

    @torch.inference_mode()
    def encode(self, inputs: Sequence[npt.NDArray[np.float32]]) -> torch.Tensor:
        embeddings = [torch.empty(0, self.embedding_length, device=self.device)]
        at_once = _CLIPS_AT_ONCE.get(self.device.type, 1)
        for start in range(0, len(inputs), at_once):
            embeddings.append(self.embed(self.features(inputs[start : start + at_once])))
        return torch.cat(embeddings)


# Names of transformers before its release 5 on the left.
_OLDER_NAMES = (
    (re.compile(r"\.encoder\.layer\.(\d+)\."), r".layers.\1."),
    (re.compile(r"\.attention\.attention\.query\."), ".attention.q_proj."),
    (re.compile(r"\.attention\.attention\.key\."), ".attention.k_proj."),
    (re.compile(r"\.attention\.attention\.value\."), ".attention.v_proj."),
    (re.compile(r"\.attention\.output\.dense\."), ".attention.o_proj."),
    (re.compile(r"(\.layers\.\d+)\.intermediate\.dense\."), r"\1.mlp.fc1."),
    (re.compile(r"(\.layers\.\d+)\.output\.dense\."), r"\1.mlp.fc2."),
)


def current_key(key: str) -> str:
    """Our name for a tensor of a checkpoint, whichever release of transformers wrote it.

    The original put the head into a sequence with its ReLU, which shows in the names as `classifier.0.`.
    """
    for older, newer in _OLDER_NAMES:
        key = older.sub(newer, key)
    return key.replace("classifier.0.", "classifier.", 1)
