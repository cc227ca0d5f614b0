"""From a waveform to the mel spectrogram windows the voice encoder hears.

The geometry is that of the GE2E speaker encoder (Wan et al., arXiv 1710.10467) as published with Resemblyzer
(Apache-2.0): 16 kHz, 25 ms windows every 10 ms, 40 Slaney mel bands of *power* (no logarithm), cut into 1.6 s windows.
Constants are stated once and the rest derived by exact division.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import torch
import torchaudio

SAMPLE_RATE = 16_000
FRAME_SAMPLES = SAMPLE_RATE // 40  # 25 ms
HOP_SAMPLES = SAMPLE_RATE // 100  # 10 ms
MEL_BANDS = 40
WINDOW_FRAMES = 160  # 1.6 s, the length GE2E was trained on
WINDOW_SAMPLES = WINDOW_FRAMES * HOP_SAMPLES
TARGET_DBFS = -30.0  # quiet recordings are raised to this level; loud ones are left alone
SILENCE_BELOW_PEAK_DB = 40.0  # a 30 ms block this far under the loudest block counts as silence
SILENCE_BLOCK_SAMPLES = SAMPLE_RATE * 30 // 1000
KEPT_PAUSE_BLOCKS = 6  # 180 ms of every pause stay, so that words do not run into each other

Waveform = npt.NDArray[np.float32]


def trim_silence(waveform: Waveform) -> Waveform:
    """Cut leading and trailing silence and shorten long pauses.

    GE2E was trained on speech with pauses removed by a voice activity detector. Energy relative to the loudest
    block is enough here and, unlike a detector with state, depends on nothing but the clip itself.

    Args:
        waveform: float32 `[T]` at 16 kHz.

    Returns:
        float32 `[T']` with `T' <= T`; the input itself when it is shorter than one block.
    """
    blocks = len(waveform) // SILENCE_BLOCK_SAMPLES
    if blocks < 2:
        return waveform
    body = waveform[: blocks * SILENCE_BLOCK_SAMPLES].reshape(blocks, SILENCE_BLOCK_SAMPLES)
    power = np.mean(np.square(body, dtype=np.float64), axis=1)
    floor = power.max() * 10 ** (-SILENCE_BELOW_PEAK_DB / 10)
    loud = (power > floor).astype(np.int64)
    reach = KEPT_PAUSE_BLOCKS // 2
    near_speech = np.convolve(loud, np.ones(2 * reach + 1, dtype=np.int64), mode="same")[:blocks] > 0
    kept = body[near_speech].reshape(-1)
    return np.ascontiguousarray(kept, dtype=np.float32)


def raise_volume(waveform: Waveform) -> Waveform:
    """Amplify a quiet clip to an RMS of -30 dBFS; never turn one down. Shapes: `[T]` -> `[T]`."""
    rms = math.sqrt(float(np.mean(np.square(waveform, dtype=np.float64))))
    target = 10 ** (TARGET_DBFS / 20)
    if rms == 0.0 or rms >= target:
        return waveform
    return (waveform * np.float32(target / rms)).astype(np.float32)


def window_starts(samples: int, clip_samples: int) -> list[int]:
    """Where the 1.6 s windows of a clip begin, in samples.

    The fewest windows that cover the clip, spread evenly: every stretch of speech is heard and none is paid for
    three times. A clip shorter than one window gets a single, zero-padded one.
    """
    used = min(samples, clip_samples)
    if used <= WINDOW_SAMPLES:
        return [0]
    count = math.ceil(used / WINDOW_SAMPLES)
    last = (used - WINDOW_SAMPLES) // HOP_SAMPLES
    return [round(i * last / (count - 1)) * HOP_SAMPLES for i in range(count)]


def cut_windows(waveform: Waveform, clip_seconds: float) -> Waveform:
    """Prepare one clip and cut it. `[T]` at 16 kHz -> `[W, WINDOW_SAMPLES]`, W >= 1."""
    clip_samples = round(clip_seconds * SAMPLE_RATE)
    clip = raise_volume(trim_silence(waveform)[:clip_samples])
    starts = window_starts(len(clip), clip_samples)
    windows = np.zeros((len(starts), WINDOW_SAMPLES), dtype=np.float32)
    for row, start in enumerate(starts):
        piece = clip[start : start + WINDOW_SAMPLES]
        windows[row, : len(piece)] = piece
    return windows


class MelPower(torch.nn.Module):
    """Waveform windows `[N, WINDOW_SAMPLES]` -> mel power `[N, WINDOW_FRAMES, MEL_BANDS]`, as librosa computes it."""

    def __init__(self) -> None:
        super().__init__()
        # Not part of the checkpoint: both are derived from the constants above.
        self.register_buffer("window", torch.hann_window(FRAME_SAMPLES), persistent=False)
        bank = torchaudio.functional.melscale_fbanks(
            FRAME_SAMPLES // 2 + 1,
            0.0,
            SAMPLE_RATE / 2,
            MEL_BANDS,
            SAMPLE_RATE,
            norm="slaney",
            mel_scale="slaney",
        )
        self.register_buffer("bank", bank, persistent=False)

    def forward(self, windows: torch.Tensor) -> torch.Tensor:
        window, bank = self.get_buffer("window"), self.get_buffer("bank")
        spectrum = torch.stft(
            windows,
            FRAME_SAMPLES,
            HOP_SAMPLES,
            window=window,
            center=True,
            pad_mode="constant",
            return_complex=True,
        )
        power = spectrum[..., :WINDOW_FRAMES].abs().square()  # [N, FRAME_SAMPLES // 2 + 1, WINDOW_FRAMES]
        return torch.matmul(power.transpose(1, 2), bank)
