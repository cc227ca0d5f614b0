"""What the two published voice encoders hear: a compressed spectrogram (VE_conv) and a Kaldi-style filter bank (AST).

Both start the same way: the first seconds of a recording at a set loudness, repeated until they fill the window. The
recipes are part of a network's configuration. Everything is computed for a batch at once, on the device of the network,
and gives for each clip what it gives for the clip alone. Do not call the two under autocast: filter banks in bfloat16
are worth nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional as F

Waveform = npt.NDArray[np.float32]
Channels = Literal["magnitude_phase", "real_imaginary"]
_LOG_FLOOR = float(torch.finfo(torch.float32).eps)  # Kaldi's
_LEAST = float(torch.finfo(torch.float32).tiny)


@dataclass(frozen=True)
class SegmentRecipe:
    """How a recording becomes a window of fixed length.

    Attributes:
        sample_rate: in Hz.
        seconds: how much is heard; shorter recordings are repeated from their start.
        loudness_dbfs: RMS level that the heard part is brought to, in dB relative to full scale; None leaves it alone.
    """

    sample_rate: int = 16_000
    seconds: float = 6.0
    loudness_dbfs: float | None = -23.0

    @property
    def samples(self) -> int:
        """Length of the window in samples."""
        return round(self.seconds * self.sample_rate)


@dataclass(frozen=True)
class SpectrogramRecipe(SegmentRecipe):
    """The input of VE_conv: two compressed channels of a short-time Fourier transform.

    The defaults are those of Speech-to-face (601 frames for 6 s). `centred=False` with `channels="real_imaginary"` is
    the geometry published for Speech2Face (Oh et al., CVPR 2019; 598 frames).

    Attributes:
        fft_samples, window_samples, hop_samples: of the transform, with a periodic Hann window.
        centred: whether frames are centred on multiples of the hop, with silence beyond both ends.
        channels: what the two channels hold, each as sgn(x)·|x|^power.
        power: of the compression.
    """

    fft_samples: int = 512
    window_samples: int = 400
    hop_samples: int = 160
    centred: bool = True
    channels: Channels = "magnitude_phase"
    power: float = 0.3

    def __post_init__(self) -> None:
        if self.channels not in get_args(Channels):
            raise ValueError(f"channels is one of {get_args(Channels)}, and not {self.channels!r}")

    @property
    def bins(self) -> int:
        """Number of frequencies."""
        return self.fft_samples // 2 + 1

    @property
    def frames(self) -> int:
        """Number of frames of a whole window."""
        if self.centred:
            return self.samples // self.hop_samples + 1
        return (self.samples - self.window_samples) // self.hop_samples + 1


@dataclass(frozen=True)
class FilterBankRecipe(SegmentRecipe):
    """The input of AST: logarithms of mel bands, as Kaldi and the AST feature extractor of transformers make them.

    Attributes:
        frames: length of the answer; what is missing is zero before normalisation, what is more is cut.
        mel_bands, low_hz, high_hz: of the filter bank.
        window_samples, hop_samples: of the frames, with a symmetric Hann window and no centring.
        preemphasis: of every frame, after its mean was taken away.
        mean, std: of the training data; the answer is (x - mean) / (2·std). The defaults are those that Speech-to-face
            published for its data; AudioSet's, for checkpoints trained on it, are -4.2677393 and 4.5689974.
    """

    seconds: float = 10.26
    frames: int = 1024
    mel_bands: int = 128
    low_hz: float = 20.0
    high_hz: float = 8000.0
    window_samples: int = 400
    hop_samples: int = 160
    preemphasis: float = 0.97
    mean: float = -5.460994
    std: float = 3.1129124


def fill_windows(waveforms: Sequence[Waveform], recipe: SegmentRecipe) -> Waveform:
    """Cut recordings to the window, bring them to the loudness, and repeat the short ones until it is full.

    The level is that of the part that is heard, and not of the whole recording: a shout at its end changes nothing.
    Silence stays silence.

    Args:
        waveforms: float32 `[T]` each, of any length but zero.

    Returns:
        float32 `[N, recipe.samples]`.

    Raises:
        ValueError: a recording without samples.
    """
    windows = np.empty((len(waveforms), recipe.samples), dtype=np.float32)
    for row, waveform in zip(windows, waveforms, strict=True):
        heard = waveform[: recipe.samples]
        if len(heard) == 0:
            raise ValueError("a waveform without samples cannot be repeated")
        row[:] = np.resize(heard * np.float32(_gain(heard, recipe.loudness_dbfs)), recipe.samples)
    return windows


def compressed_spectrograms(waveforms: torch.Tensor, recipe: SpectrogramRecipe) -> torch.Tensor:
    """float32 `[N, T]` -> `[N, 2, bins, frames]`: magnitude^p and sgn(phase)·|phase|^p, or real and imaginary parts."""
    return _joined([_compressed_spectrograms(few, recipe) for few in _few_at_once(waveforms)])


def log_mel(waveforms: torch.Tensor, recipe: FilterBankRecipe) -> torch.Tensor:
    """Natural logarithms of mel band powers, before padding and normalisation. `[N, T]` -> `[N, frames of T, bands]`.

    Equal to `torchaudio.compliance.kaldi.fbank` with a Hann window, which takes one waveform at a time.
    """
    return _joined([_log_mel(few, recipe) for few in _few_at_once(waveforms)])


def filter_banks(waveforms: torch.Tensor, recipe: FilterBankRecipe) -> torch.Tensor:
    """The input of AST: `log_mel`, padded with zeros or cut, then normalised. `[N, T]` -> `[N, frames, bands]`."""
    bands = log_mel(waveforms, recipe)[:, : recipe.frames]
    bands = F.pad(bands, (0, 0, 0, recipe.frames - bands.shape[1]))
    return (bands - recipe.mean) / (2 * recipe.std)


def _few_at_once(waveforms: torch.Tensor) -> Sequence[torch.Tensor]:
    # A processor's cache holds the frames of two clips; a GPU wants many.
    return torch.split(waveforms, 2 if waveforms.device.type == "cpu" else 256)


def _joined(parts: Sequence[torch.Tensor]) -> torch.Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(list(parts))


def _compressed_spectrograms(waveforms: torch.Tensor, recipe: SpectrogramRecipe) -> torch.Tensor:
    # In double precision until the transform is done: where a frequency is nearly absent, rounding would turn its
    # phase, and the power of 0.3 would make the noise large.
    waveforms = waveforms.double()
    window = _hann(recipe.window_samples, True, torch.float64, waveforms.device)
    if recipe.centred:
        # The window in the middle of the transform, and half a transform of silence at both ends. By hand in half the
        # time that `torch.stft` takes.
        beyond, half = recipe.fft_samples - recipe.window_samples, recipe.fft_samples // 2
        window = F.pad(window, (beyond // 2, beyond - beyond // 2))
        waveforms = F.pad(waveforms, (half, half))
    frames = waveforms.unfold(1, len(window), recipe.hop_samples)
    # Real and imaginary parts in single precision, [N, 2, bins, frames].
    compressed = torch.empty((len(frames), 2, recipe.bins, frames.shape[1]), device=frames.device)
    for some, place in zip(_in_cache(frames, 1), _in_cache(compressed, 3), strict=True):
        spectra = torch.view_as_real(torch.fft.rfft(some * window, recipe.fft_samples))
        place.copy_(spectra.permute(0, 3, 2, 1))
    # In place from here on: on a CPU, new memory costs as much as the arithmetic.
    if recipe.channels == "magnitude_phase":
        real, imaginary = compressed.unbind(1)
        phase = torch.atan2(imaginary, real)
        _power(real.square_().addcmul_(imaginary, imaginary), recipe.power / 2)
        _signed_power(phase, recipe.power, imaginary)
    else:
        _signed_power(compressed, recipe.power, compressed)
    return compressed


def _in_cache(values: torch.Tensor, axis: int) -> Sequence[torch.Tensor]:
    """Parts along the axis of frames that a processor's cache holds in double precision; a GPU takes all at once."""
    return torch.split(values, 151 if values.device.type == "cpu" else values.shape[axis], axis)


def _log_mel(waveforms: torch.Tensor, recipe: FilterBankRecipe) -> torch.Tensor:
    device = waveforms.device
    fft_samples = 1 << (recipe.window_samples - 1).bit_length()
    frames = waveforms.unfold(1, recipe.window_samples, recipe.hop_samples)
    frames = frames - frames.mean(dim=2, keepdim=True)
    padded = frames.new_zeros((*frames.shape[:2], fft_samples))
    current = padded[..., : recipe.window_samples]
    current[..., 1:] = frames[..., :-1]
    current[..., :1] = frames[..., :1]  # before the first sample of a frame comes the first sample
    current.mul_(-recipe.preemphasis).add_(frames)
    current *= _hann(recipe.window_samples, False, torch.float32, device)
    spectra = torch.fft.rfft(padded)
    power = spectra.real.square() + spectra.imag.square()
    bands = torch.matmul(power, _mel_bank(recipe, fft_samples, device))
    return bands.clamp_min_(_LOG_FLOOR).log_()


def _gain(heard: Waveform, loudness_dbfs: float | None) -> float:
    if loudness_dbfs is None:
        return 1.0
    level = math.sqrt(float(np.mean(np.square(heard, dtype=np.float64))))
    return 10 ** (loudness_dbfs / 20) / level if level > 0 else 1.0


def _signed_power(values: torch.Tensor, power: float, to: torch.Tensor) -> None:
    """sgn(x)·|x|^power."""
    torch.copysign(_power(values.abs(), power), values, out=to)


def _power(values: torch.Tensor, power: float) -> torch.Tensor:
    """In place, by way of logarithms: several times quicker than `pow` on a CPU, and as exact as float32 can say."""
    # Logarithms of zero, of which digital silence is full, take thirty times as long. The least number comes to
    # two millionths instead of nothing.
    return values.clamp_min_(_LEAST).log_().mul_(power).exp_()


# Constants of a device, and not buffers of a module: they follow from the recipe and belong to no checkpoint. Made
# outside inference mode, since the first caller may be inferring and the second training.


@lru_cache(maxsize=32)
@torch.inference_mode(False)
def _hann(samples: int, periodic: bool, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    return torch.hann_window(samples, periodic=periodic, dtype=dtype, device=device)


@lru_cache(maxsize=32)
@torch.inference_mode(False)
def _mel_bank(recipe: FilterBankRecipe, fft_samples: int, device: torch.device) -> torch.Tensor:
    """Kaldi's triangles: straight on the mel axis, with a peak of one. `[bins, bands]`."""
    low, high = _mel(recipe.low_hz), _mel(recipe.high_hz)
    edges = torch.linspace(low, high, recipe.mel_bands + 2, dtype=torch.float64)
    bins = torch.arange(fft_samples // 2 + 1, dtype=torch.float64) * recipe.sample_rate / fft_samples
    mels = 1127.0 * torch.log1p(bins / 700.0)[:, None]
    left, centre, right = edges[:-2], edges[1:-1], edges[2:]
    bank = torch.minimum((mels - left) / (centre - left), (right - mels) / (right - centre)).clamp_min(0)
    return bank.to(device, torch.float32)


def _mel(hz: float) -> float:
    return 1127.0 * math.log1p(hz / 700.0)
