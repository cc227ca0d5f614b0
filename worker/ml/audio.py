"""From any recording to the clip a model hears: 16 kHz, mono, float32.

`decode` looks before it listens: what the file claims about itself is checked against what is there (empty, not audio,
cut off, far too long) without decoding it all, and then only as much is decoded as a model listens to. Memory is
bounded by `Limits`, whatever the file claims. Safe to call from several threads at once; decoding and resampling
release the interpreter lock. The same bytes always give the same samples.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import av
import numpy as np
import numpy.typing as npt

from worker.ml.audio_readers import Reader, needs_memory, open_reader
from worker.ml.errors import AudioError

SAMPLE_RATE = 16_000
LEVEL_BLOCK_SECONDS = 0.03  # loudness is judged in blocks of this length


@dataclass(frozen=True)
class Limits:
    """What we accept, and how much we listen to.

    Attributes:
        heard_seconds: how much is kept, counted from the first sound.
        min_seconds: shorter recordings hold too little voice.
        max_seconds: longer ones are refused from their header, undecoded.
        max_channels: more is a multitrack session and not a recording of a voice.
        silence_dbfs: blocks below this RMS level are silence.
    """

    heard_seconds: float = 20.0
    min_seconds: float = 0.5
    max_seconds: float = 3600.0
    max_channels: int = 32
    silence_dbfs: float = -60.0


@dataclass(frozen=True)
class Clip:
    """The stretch of a recording a model hears, and what the recording was.

    Attributes:
        waveform: float32 `[T]`, 16 kHz mono, within -1 to 1, from the first sound on.
        duration_seconds: length of the whole recording.
        sample_rate: of the recording, in Hz.
        channels: of the recording.
    """

    waveform: npt.NDArray[np.float32]
    duration_seconds: float
    sample_rate: int
    channels: int


DEFAULT_LIMITS = Limits()


def decode(source: bytes | Path | BinaryIO, limits: Limits = DEFAULT_LIMITS) -> Clip:
    """Decode a recording.

    Args:
        source: the file's content, where it lies, or the file itself, unbuffered; that is closed in the end.
        limits: see `Limits`.

    Raises:
        AudioError: with a stable code, when the recording cannot be used.
    """
    try:
        return _decode(source, limits)
    except MemoryError as failure:
        raise needs_memory() from failure


def _decode(source: bytes | Path | BinaryIO, limits: Limits) -> Clip:
    with open_reader(source) as reader:
        if reader.channels > limits.max_channels:
            raise AudioError(
                "too_many_channels",
                f"The recording has {reader.channels} channels; at most {limits.max_channels} are accepted. "
                "Mix it down to stereo or mono first.",
            )
        if reader.promised_seconds is not None:
            _check_length(reader.promised_seconds, limits)
        reader.check_complete()
        heard = _listen(reader, limits)
        duration = reader.promised_seconds if reader.promised_seconds is not None else reader.read_seconds
        clip = Clip(resample(heard, reader.sample_rate), duration, reader.sample_rate, reader.channels)
    _check_length(clip.duration_seconds, limits)
    if loudest_dbfs(clip.waveform) < limits.silence_dbfs:
        raise AudioError(
            "no_speech",
            "The recording is silent. Check that the microphone was on and send one with a voice.",
        )
    return clip


def loudest_dbfs(waveform: npt.NDArray[np.float32]) -> float:
    """RMS level of the loudest 30 ms in dB relative to full scale; `[T]` at 16 kHz."""
    block = round(LEVEL_BLOCK_SECONDS * SAMPLE_RATE)
    whole = len(waveform) // block * block
    if whole == 0:
        return float("-inf")
    power = np.mean(np.square(waveform[:whole].reshape(-1, block), dtype=np.float64), axis=1).max()
    return float(10 * np.log10(power)) if power > 0 else float("-inf")


def resample(mono: npt.NDArray[np.float32], rate: int) -> npt.NDArray[np.float32]:
    """Change the sample rate to 16 kHz with FFmpeg's windowed-sinc resampler. `[T]` -> `[T * 16000 / rate]`.

    It handles every ratio in bounded memory; a polyphase filter bank for, say, 44,101 Hz would need gigabytes.
    """
    if rate == SAMPLE_RATE or len(mono) == 0:
        return mono
    resampler = av.AudioResampler(format="flt", layout="mono", rate=SAMPLE_RATE)
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(mono[None]), format="flt", layout="mono")
    frame.sample_rate = rate
    pieces = [piece.to_ndarray()[0] for piece in [*resampler.resample(frame), *resampler.resample(None)]]
    return np.asarray(np.clip(np.concatenate(pieces), -1.0, 1.0), dtype=np.float32)


def _listen(reader: Reader, limits: Limits) -> npt.NDArray[np.float32]:
    """Read from the first sound on. Returns mono float32 `[T]` at the recording's own rate."""
    threshold = 10 ** (limits.silence_dbfs / 20)
    wanted = round(limits.heard_seconds * reader.sample_rate)
    longest = round(limits.max_seconds * reader.sample_rate)
    kept: list[npt.NDArray[np.float32]] = []
    total = skipped = 0
    before: npt.NDArray[np.float32] | None = None
    for block in reader.blocks():
        mono = _mix_down(block)
        if not kept and float(np.abs(mono).max(initial=0.0)) < threshold:
            skipped += len(mono)
            before = mono  # speech may begin softly: keep the quiet block just before it
            if skipped > longest:
                break
            continue
        if before is not None and not kept:
            kept.append(before)
        kept.append(mono)
        total += len(mono)
        if total >= wanted:
            break
    heard = np.concatenate(kept) if kept else np.zeros(0, dtype=np.float32)
    peak = float(np.abs(heard).max(initial=0.0))
    # Some float files hold integers' range; scaling is kinder than clipping.
    return heard if peak <= 1.0 else (heard / np.float32(peak)).astype(np.float32)


def _mix_down(block: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """`[T, C]` -> `[T]`. Not-a-number and infinite samples become silence."""
    finite = np.isfinite(block)
    if not finite.all():
        block = np.where(finite, block, np.float32(0))
    if block.shape[1] == 1:
        return np.ascontiguousarray(block[:, 0])
    mono = np.asarray(block.mean(axis=1), dtype=np.float32)
    power = np.mean(np.square(block, dtype=np.float64), axis=0)
    loudest = int(power.argmax())
    # Channels wired in opposite phase cancel each other: then the loudest one speaks for all.
    if float(np.mean(np.square(mono, dtype=np.float64))) < 0.01 * power[loudest]:
        mono = np.ascontiguousarray(block[:, loudest])
    return mono


def _check_length(seconds: float, limits: Limits) -> None:
    if seconds < limits.min_seconds:
        raise AudioError(
            "too_short",
            f"The recording is {seconds:.2f} s long; at least {limits.min_seconds:g} s are needed. "
            "A few seconds of speech work best.",
        )
    if seconds > limits.max_seconds:
        raise AudioError(
            "too_long",
            f"The recording is {seconds / 60:.0f} min long; at most {limits.max_seconds / 60:.0f} min are "
            "accepted. Cut out a stretch where the person speaks.",
        )
