"""Recordings made on the fly: good ones, good ones in every format people send, and bad ones of every kind we know.

A "voice" here is a train of glottal pulses through three formants, swelling and fading like syllables. No network was
trained on it and nobody spoke it, which is all that these tests need.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import soundfile

Samples = npt.NDArray[np.float32]

FORMANTS = ((600.0, 1.0), (1_500.0, 0.5), (2_700.0, 0.25))  # Hz and weight, near those of an open vowel
GOOD = 20


@dataclass(frozen=True)
class Expected:
    """What must become of one file: its error code, or None for a face."""

    path: Path
    code: str | None


def voice(pitch: float, seconds: float = 2.0, rate: int = 16_000) -> Samples:
    """Something voiced, float32 `[T]`; each pitch (Hz) sounds, and is drawn, differently."""
    time = np.arange(round(seconds * rate)) / rate
    sound = np.zeros_like(time)
    for number in range(1, int(min(rate / 2, 4_000) / pitch)):
        frequency = number * pitch
        weight = sum(share * np.exp(-(((frequency - formant) / 350.0) ** 2)) for formant, share in FORMANTS)
        sound += (weight + 0.02) / number**0.5 * np.sin(2 * np.pi * frequency * time + number)
    syllables = 0.55 + 0.45 * np.sin(2 * np.pi * 3.1 * time - 1.0)
    return np.asarray(0.5 * syllables * sound / np.abs(sound).max(), dtype=np.float32)


def write_good(folder: Path, count: int = GOOD) -> list[Expected]:
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    for number in range(count):
        path = folder / f"good {number:02d}.wav"
        soundfile.write(path, voice(90.0 + 9.7 * number), 16_000)
        made.append(Expected(path, None))
    return made


def write_formats(folder: Path) -> list[Expected]:
    """What telephones, browsers, studios and chat programs make; all of it is drawn."""
    folder.mkdir(parents=True, exist_ok=True)
    wide = voice(131.0, rate=96_000)
    soundfile.write(
        folder / "studio 5.1.wav", np.stack([wide * g for g in (1, 1, 0.7, 0, 0.3, 0.3)], 1), 96_000
    )
    soundfile.write(folder / "telephone.wav", voice(117.0, rate=8_000), 8_000, subtype="PCM_U8")
    soundfile.write(folder / "mulaw.wav", voice(119.0, rate=8_000), 8_000, subtype="ULAW")
    _encode(folder / "talk.mp3", "libmp3lame", 103.0, 44_100)
    _encode(folder / "memo.m4a", "aac", 205.0, 44_100)
    _encode(folder / "message.ogg", "libopus", 187.0, 48_000)
    _encode(folder / "browser.webm", "libopus", 149.0, 48_000)
    return [Expected(path, None) for path in sorted(folder.iterdir())]


def write_bad(folder: Path) -> list[Expected]:
    """Each of these fails for a reason of its own, and the reason has a code."""
    folder.mkdir(parents=True, exist_ok=True)
    sound = voice(123.0)
    (folder / "empty.wav").write_bytes(b"")
    (folder / "letter.wav").write_text("Dear all,\nplease find my voice attached.\n" * 50)
    soundfile.write(folder / "cut.flac", sound, 16_000)
    whole = (folder / "cut.flac").read_bytes()
    (folder / "cut.flac").write_bytes(whole[: len(whole) // 3])
    soundfile.write(folder / "liar.wav", sound, 16_000)
    _promise_more(folder / "liar.wav")
    soundfile.write(folder / "blip.wav", sound[:1_600], 16_000)
    soundfile.write(folder / "silence.wav", np.zeros(48_000, np.float32), 16_000)
    _write_long(folder / "two hours.flac", seconds=7_200)
    (folder / "dangling.wav").symlink_to(folder / "nowhere.wav")
    codes = {
        "empty.wav": "empty_file",
        "letter.wav": "not_audio",
        "cut.flac": "truncated_audio",
        "liar.wav": "truncated_audio",
        "blip.wav": "too_short",
        "silence.wav": "no_speech",
        "two hours.flac": "too_long",
        "dangling.wav": "unreadable_file",
    }
    return [Expected(folder / name, code) for name, code in codes.items()]


def write_odd_names(folder: Path) -> list[Expected]:
    """Good recordings under names that have broken programs before, and the same recording twice."""
    folder.mkdir(parents=True, exist_ok=True)
    names: list[bytes] = [
        b"up\\..\\..\\windows.wav",
        b'it\'s "quoted" `date` $(id).wav',
        "singer \U0001f469\U0001f3fd\u200d\U0001f3a4 \u202egnp.wav".encode(),
        b"n" * 251 + b".wav",  # as long as a file system takes
        "\u00e4".encode() * 125 + b".wav",
        b"new\nline.wav",
        b"-rf.wav",
        b"=cmd|' /C calc'!A1.wav",
        b"caf\xe9.wav",  # Latin-1, as old archives have it
        b"CON.wav",
        b"contact_sheet.wav",
        b"same.wav",
        b"SAME.WAV",
        b"same",  # no ending at all, and the same face name as the two above
    ]
    made = []
    for number, name in enumerate(names):
        path = folder / os.fsdecode(name)
        pitch = 300.0 if name.lower().startswith(b"same") else 95.0 + 7.3 * number
        try:
            with path.open("wb") as file:
                soundfile.write(file, voice(pitch), 16_000, format="WAV")
        except OSError:
            continue  # this file system takes UTF-8 names only, or tells no capitals apart
        made.append(Expected(path, None))
    return made


def expected_codes(made: list[Expected], root: Path) -> Mapping[str, str | None]:
    """By the key that a submission of `root` gives each file."""
    return {os.fsencode(one.path.relative_to(root)).decode("utf-8", "replace"): one.code for one in made}


def _encode(path: Path, codec: str, pitch: float, rate: int) -> None:
    sound = voice(pitch, rate=rate)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate, layout="mono")
        assert isinstance(stream, av.AudioStream)
        resampler = av.AudioResampler(
            format=stream.codec_context.format, layout="mono", rate=rate, frame_size=stream.frame_size or 1152
        )
        frame = av.AudioFrame.from_ndarray(sound[None], format="flt", layout="mono")
        frame.sample_rate = rate
        for piece in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(stream.encode(piece))
        container.mux(stream.encode(None))


def _promise_more(path: Path) -> None:
    """Makes a WAV header claim a hundred times the sound that is there."""
    data = bytearray(path.read_bytes())
    at = data.index(b"data") + 4
    promised = 100 * int.from_bytes(data[at : at + 4], "little")
    data[at : at + 4] = promised.to_bytes(4, "little")
    data[4:8] = (promised + at - 4).to_bytes(4, "little")
    path.write_bytes(data)


def _write_long(path: Path, seconds: int) -> None:
    """A long recording that is quick to make and small: a minute of voice at a low rate, then silence."""
    with soundfile.SoundFile(path, "w", 4_000, 1, "PCM_16") as file:
        file.write(np.tile(voice(140.0, seconds=1.0, rate=4_000), 60))
        for _ in range(seconds // 60 - 1):
            file.write(np.zeros(4_000 * 60, np.float32))
