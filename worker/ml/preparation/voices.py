"""What is kept of recordings: the inputs of the voice encoders, made for a batch at once on the device.

Features are stored before normalisation where the numbers for it come from the whole dataset. Nothing here depends on
which other features are asked for, so that a dataset of two features holds the same numbers as two datasets of one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional as F

from worker.ml.audio import SAMPLE_RATE, Clip, Limits, decode
from worker.ml.voice_spectrograms import (
    FilterBankRecipe,
    SpectrogramRecipe,
    Waveform,
    compressed_spectrograms,
    fill_windows,
    log_mel,
)

Array = npt.NDArray[np.float32]

VE_CONV, AST, WAVEFORM = "ve_conv", "ast", "waveform"
SPECTROGRAM = SpectrogramRecipe()
FILTER_BANK = FilterBankRecipe()
SHAPES: dict[str, tuple[int, ...]] = {
    VE_CONV: (2, SPECTROGRAM.bins, SPECTROGRAM.frames),
    AST: (FILTER_BANK.frames, FILTER_BANK.mel_bands),
}
# Decoded beyond what is used, so that the end of what is used does not sound of the resampler's last samples.
_BEYOND_SECONDS = 0.05


@dataclass(frozen=True)
class VoiceFeatures:
    """Which features are made.

    Attributes:
        names: of `ve_conv`, `ast` and `waveform`.
        waveform_seconds: how much of a recording `waveform` keeps, at most.
        device: where they are computed.
    """

    names: tuple[str, ...]
    waveform_seconds: float
    device: torch.device

    @property
    def seconds(self) -> float:
        """How much of a recording is used, at most, from its first sound on."""
        lengths = {VE_CONV: SPECTROGRAM.seconds, AST: FILTER_BANK.seconds, WAVEFORM: self.waveform_seconds}
        return max(lengths[name] for name in self.names)

    @property
    def one_by_one(self) -> bool:
        """Whether features are best made of one recording at a time, in as many threads as there are cores."""
        return self.device.type == "cpu"

    def hear(self, content: bytes) -> Clip:
        """Decode no more than is used.

        Raises:
            AudioError: the recording cannot be used.
        """
        clip = decode(content, self.limits)
        return replace(clip, waveform=self.used(clip.waveform))

    @property
    def limits(self) -> Limits:
        """How much of a recording is to be decoded."""
        return Limits(heard_seconds=self.seconds + _BEYOND_SECONDS)

    def used(self, waveform: Array) -> Array:
        """What features are made of, of a recording decoded within `limits`: float32 `[T]`."""
        return waveform[: round(self.seconds * SAMPLE_RATE)]

    def of(self, waveforms: Sequence[Waveform]) -> list[dict[str, Array]]:
        """The features of each of some recordings.

        Args:
            waveforms: float32 `[T]`, 16 kHz mono, as `hear` answers them.

        Returns:
            for each: `ve_conv` `[2, 257, 601]`, `ast` `[1024, 128]` (logarithms, not normalised), `waveform` `[T]`,
            as far as they were asked for; float32.
        """
        columns: dict[str, Sequence[Array]] = {}
        for name in self.names if waveforms else ():
            if name == VE_CONV:
                windows = self._windows(waveforms, SPECTROGRAM)
                columns[name] = _rows(compressed_spectrograms(windows, SPECTROGRAM))
            elif name == AST:
                columns[name] = _rows(_log_mel_frames(self._windows(waveforms, FILTER_BANK)))
            else:
                kept = round(self.waveform_seconds * SAMPLE_RATE)
                columns[name] = [np.ascontiguousarray(waveform[:kept]) for waveform in waveforms]
        return [{name: column[row] for name, column in columns.items()} for row in range(len(waveforms))]

    def _windows(
        self, waveforms: Sequence[Waveform], recipe: SpectrogramRecipe | FilterBankRecipe
    ) -> torch.Tensor:
        return torch.from_numpy(fill_windows(waveforms, recipe)).to(self.device)


def loudness_dbfs(waveform: Waveform) -> float:
    """RMS level in dB relative to full scale. float32 `[T]`, not silent."""
    wide = waveform.astype(np.float64)
    power = float(np.einsum("i,i->", wide, wide)) / max(1, len(wide))
    return 10 * math.log10(power) if power > 0 else -math.inf


def normalised_ast(frames: torch.Tensor, mean: float, std: float) -> torch.Tensor:
    """What the AST takes: stored `[N, frames, bands]`, with mean 0 and deviation 1/2 by the dataset's numbers."""
    return (frames - mean) / (2 * std)


def _log_mel_frames(windows: torch.Tensor) -> torch.Tensor:
    bands = log_mel(windows, FILTER_BANK)[:, : FILTER_BANK.frames]
    return F.pad(bands, (0, 0, 0, FILTER_BANK.frames - bands.shape[1]))


def _rows(batch: torch.Tensor) -> Sequence[Array]:
    rows: Array = batch.float().cpu().numpy()
    return list(rows)
