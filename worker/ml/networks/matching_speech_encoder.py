"""The speech encoder that is trained by matching voices with faces, on the waveform itself.

A reconstruction: the layer tables of the work that describes such an encoder (Choi, Park and Lee, "From Inference to
Generation", arXiv 2004.05830) could not be had. What is built here follows its published description (a SincNet front
end, residual layers, an average over time, inner products with faces) out of parts whose definitions are known: the
front end of SincNet (arXiv 1808.00158) and the residual block of Mescheder et al. (arXiv 1801.04406). Every size is a
configuration value.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar, Literal, get_args

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn import functional as F

from worker.ml.devices import inference_precision
from worker.ml.networks.pretrained import Encoder
from worker.ml.networks.residual import ResidualBlock
from worker.ml.networks.sinc_conv import SincConv

SAMPLE_RATE = 16_000
LEVEL_RMS = 0.05  # every clip is brought to this level
SILENCE_RMS = 1e-6  # below it, there is nothing to bring up
FIRST_SCALE = 1 / 0.07  # of scores of unit embeddings, before any training
LARGEST_SCALE = 100.0  # beyond it, softmax over scores saturates (the limit of CLIP, arXiv 2103.00020)
FrontNorm = Literal["instance", "clip"]
_SECONDS_AT_ONCE = 384.0  # that a batch of `encode` may hold together


@dataclass(frozen=True)
class MatchingSpeechEncoderConfig:
    """Sizes and recipe.

    Attributes:
        embedding_length: D.
        embedding_space: shared by the two encoders that were trained together.
        unit_norm: whether embeddings have unit length and scores a learned scale.
        filters, filter_length, filter_stride: of the SincNet front end; lengths in samples.
        front_norm: `instance`: every band of a clip gets mean 0 and spread 1 over time, which takes away how loud it is
            beside the others. `clip`: all bands together do, which keeps that.
        channels: width after each residual block.
        pool: how many frames are averaged into one after each block.
        clip_seconds: how much of a recording is heard.
        shortest_seconds: what a shorter clip is repeated to, at least.
        repeat_short: whether a clip shorter than `clip_seconds` is repeated until it is as long, as in training;
            otherwise it is heard as long as it is.
    """

    embedding_length: int = 128
    embedding_space: str = "matching"
    unit_norm: bool = True
    filters: int = 80
    filter_length: int = 251
    filter_stride: int = 8
    front_norm: FrontNorm = "instance"
    channels: tuple[int, ...] = (128, 256, 512, 512)
    pool: int = 4
    clip_seconds: float = 6.0
    shortest_seconds: float = 1.0
    repeat_short: bool = True


class MatchingSpeechEncoder(Encoder):
    """Waveforms `[B, T]`, 16 kHz mono -> embeddings `[B, D]`. 2.6 million parameters as configured by default.

    A reconstruction from a published description; see the module.

    Attributes:
        log_scale: logarithm of the scale that scores of unit embeddings are multiplied by before a softmax, where
            `unit_norm` is on. Kept here, so that it is saved with what it was learned with.
    """

    kind: ClassVar[str] = "matching_speech_encoder"
    Config: ClassVar[type[Any]] = MatchingSpeechEncoderConfig
    input: ClassVar[Literal["voice", "face"]] = "voice"
    config: MatchingSpeechEncoderConfig

    def __init__(self, config: MatchingSpeechEncoderConfig) -> None:
        super().__init__(config)
        if config.front_norm not in get_args(FrontNorm):
            raise ValueError(f"there is no front_norm {config.front_norm!r}; use instance or clip")
        self.front = SincConv(config.filters, config.filter_length, config.filter_stride, SAMPLE_RATE)
        widths = [config.filters, *config.channels]
        self.blocks = nn.ModuleList(
            ResidualBlock(inside, outside, dimensions=1) for inside, outside in pairwise(widths)
        )
        self.head = nn.Linear(widths[-1], config.embedding_length)
        if config.unit_norm:
            self.log_scale = nn.Parameter(torch.tensor(math.log(FIRST_SCALE)))

    @property
    def scale(self) -> torch.Tensor:
        """What scores are multiplied by before a softmax, a number with a gradient; 1 without `unit_norm`."""
        if not self.config.unit_norm:
            return torch.ones((), device=self.device)
        return scale_of_scores(self.log_scale)

    @property
    def clip_seconds(self) -> float:
        return self.config.clip_seconds

    @property
    def shortest_samples(self) -> int:
        """The fewest samples that leave a frame after the last average."""
        frames: int = self.config.pool ** len(self.config.channels)
        return self.config.filter_stride * (frames - 1) + 1

    def forward(self, waveforms: torch.Tensor) -> torch.Tensor:
        """Embed clips of one length; level and offset of a clip make no difference.

        Args:
            waveforms: float32 `[B, T]`, T of at least `shortest_samples`.
        """
        if waveforms.ndim != 2 or waveforms.shape[1] < self.shortest_samples:
            raise ValueError(
                f"Waveforms of shape [B, T] with at least {self.shortest_samples} samples are needed, "
                f"not {list(waveforms.shape)}."
            )
        # In float32 whatever else is in use: the filters' sums of 251 samples cancel, and eight bits are too few.
        with torch.autocast(waveforms.device.type, enabled=False):
            bands = self.front(same_level(waveforms.float())).abs().log1p()
            if self.config.front_norm == "clip":
                values = F.layer_norm(bands, bands.shape[1:])
            else:
                values = F.instance_norm(bands)
        for block in self.blocks:
            values = F.avg_pool1d(block(values), self.config.pool)
        embeddings: torch.Tensor = self.head(values.mean(dim=2)).float()
        return F.normalize(embeddings, dim=1) if self.config.unit_norm else embeddings

    def encode(self, inputs: Sequence[npt.NDArray[Any]]) -> torch.Tensor:
        """Embed clips of any lengths. Only clips of one length share a batch, so none is padded because of another."""
        clips = [self._clip(np.asarray(waveform, dtype=np.float32)) for waveform in inputs]
        answer = torch.zeros(len(clips), self.embedding_length, device=self.device)
        lengths: dict[int, list[int]] = {}
        for row, clip in enumerate(clips):
            lengths.setdefault(len(clip), []).append(row)
        for length, rows in lengths.items():
            at_once = max(1, int(_SECONDS_AT_ONCE * SAMPLE_RATE) // length)
            for start in range(0, len(rows), at_once):
                some = rows[start : start + at_once]
                batch = torch.from_numpy(np.stack([clips[row] for row in some])).to(self.device)
                with torch.no_grad(), inference_precision(self.device, self.precision):
                    answer[some] = self(batch)
        return answer

    def _clip(self, waveform: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        if waveform.ndim != 1 or len(waveform) == 0:
            raise ValueError(f"A waveform of shape [T] is needed, not {list(waveform.shape)}.")
        longest = round(self.config.clip_seconds * SAMPLE_RATE)
        seconds = self.config.clip_seconds if self.config.repeat_short else self.config.shortest_seconds
        wanted = max(round(seconds * SAMPLE_RATE), self.shortest_samples)
        clip = waveform[:longest]
        return np.resize(clip, wanted) if len(clip) < wanted else clip


def scale_of_scores(log_scale: torch.Tensor) -> torch.Tensor:
    """exp of a learned logarithm, a number of shape `[]`, and never above `LARGEST_SCALE`.

    A plain clamp has no gradient beyond its limit, so a scale that an optimiser once carried over it would stay there
    for good. Here whatever makes it smaller still passes.
    """
    scale: torch.Tensor = _Held.apply(log_scale.exp())  # type: ignore[no-untyped-call]
    return scale


class _Held(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, scale: torch.Tensor) -> torch.Tensor:
        ctx.beyond = scale > LARGEST_SCALE
        return scale.clamp(max=LARGEST_SCALE)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> torch.Tensor:
        # Descending, a gradient below zero would make it larger.
        return torch.where(ctx.beyond, gradients[0].clamp(min=0), gradients[0])


def same_level(waveforms: torch.Tensor) -> torch.Tensor:
    """Take the mean away and bring each row to an RMS of 0.05; a silent row stays silent. `[B, T]` -> `[B, T]`."""
    centred = waveforms - waveforms.mean(dim=1, keepdim=True)
    power = centred.square().mean(dim=1, keepdim=True)
    gain = torch.where(power > SILENCE_RMS**2, LEVEL_RMS * power.clamp_min(SILENCE_RMS**2).rsqrt(), 1.0)
    return centred * gain
