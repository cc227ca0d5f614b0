"""Whatever people call a recording is heard as 16 kHz mono, or refused with a reason they can act on."""

from __future__ import annotations

import io
import struct
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import pytest
import soundfile

from worker.ml.audio import Limits, decode
from worker.ml.errors import AudioError

Samples = npt.NDArray[np.float32]


def tone(seconds: float = 2.0, rate: int = 16_000, hertz: float = 220.0) -> Samples:
    time = np.arange(round(seconds * rate)) / rate
    return (0.4 * np.sin(2 * np.pi * hertz * time) * (0.6 + 0.4 * np.sin(2 * np.pi * 3 * time))).astype(
        np.float32
    )


def wav(
    samples: npt.NDArray[np.generic], rate: int = 16_000, kind: str = "WAV", subtype: str | None = None
) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=kind, subtype=subtype)
    return file.getvalue()


def encoded(kind: str, codec: str, samples: Samples, rate: int = 48_000) -> bytes:
    file = io.BytesIO()
    with av.open(file, "w", format=kind) as container:
        stream = container.add_stream(codec, rate=rate, layout="mono")
        frame = av.AudioFrame.from_ndarray(samples[None], format="fltp", layout="mono")
        frame.sample_rate = rate
        resampler = av.AudioResampler(format=stream.codec_context.format, layout="mono", rate=rate)
        for piece in resampler.resample(frame):
            container.mux(stream.encode(piece))
        container.mux(stream.encode(None))
    return file.getvalue()


def code_of(source: bytes | Path, limits: Limits | None = None) -> str:
    with pytest.raises(AudioError) as caught:
        decode(source, limits or Limits())
    assert caught.value.message.endswith(".")
    return caught.value.code


@pytest.mark.parametrize(
    ("kind", "codec"),
    [
        ("mp3", "libmp3lame"),
        ("ipod", "aac"),
        ("webm", "libopus"),
        ("ogg", "libopus"),
        ("mp4", "aac"),
        ("adts", "aac"),
    ],
)
def test_compressed_formats_are_heard_at_their_length_and_pitch(kind: str, codec: str) -> None:
    clip = decode(encoded(kind, codec, tone(2.0, 48_000)))
    assert clip.duration_seconds == pytest.approx(2.0, abs=0.1)
    spectrum = np.abs(np.fft.rfft(clip.waveform[8_000:24_000]))
    assert np.argmax(spectrum) == pytest.approx(220, abs=4)


@pytest.mark.parametrize("kind", ["WAV", "FLAC", "OGG", "AIFF", "CAF", "W64", "RF64"])
def test_plain_formats_are_heard_at_their_length(kind: str) -> None:
    clip = decode(wav(tone(), kind=kind))
    assert (clip.sample_rate, clip.channels) == (16_000, 1)
    assert clip.duration_seconds == pytest.approx(2.0)
    assert len(clip.waveform) == 32_000


def test_a_studio_recording_with_six_channels_at_96_khz_is_mixed_and_resampled() -> None:
    wide = tone(1.5, 96_000)
    clip = decode(
        wav(np.stack([wide * gain for gain in (1, 1, 0.7, 0, 0.3, 0.3)], axis=1), 96_000, subtype="PCM_24")
    )
    assert (clip.sample_rate, clip.channels) == (96_000, 6)
    assert len(clip.waveform) == pytest.approx(24_000, abs=64)


@pytest.mark.parametrize("subtype", ["PCM_U8", "ULAW", "ALAW", "GSM610"])
def test_an_8_khz_telephone_recording_is_heard(subtype: str) -> None:
    clip = decode(wav(tone(2.0, 8_000), 8_000, subtype=subtype))
    assert clip.sample_rate == 8_000
    assert len(clip.waveform) == pytest.approx(32_000, rel=0.03)


def test_an_odd_sample_rate_costs_no_more_than_others() -> None:
    assert len(decode(wav(tone(1.0, 44_101), 44_101)).waveform) == pytest.approx(16_000, abs=64)


def test_resampling_lets_nothing_above_the_new_band_through() -> None:
    clip = decode(wav(tone(2.0, 48_000, hertz=12_000.0), 48_000), Limits(silence_dbfs=-200.0))
    assert np.abs(clip.waveform[4_000:-4_000]).max() < 1e-3


def test_channels_in_opposite_phase_do_not_cancel() -> None:
    clip = decode(wav(np.stack([tone(), -tone()], axis=1)))
    assert np.abs(clip.waveform).max() > 0.3


def test_a_file_of_floats_beyond_full_scale_is_scaled_and_not_clipped() -> None:
    clip = decode(wav(tone() * 20_000, subtype="FLOAT"))
    assert np.abs(clip.waveform).max() == pytest.approx(1.0)
    assert np.mean(np.abs(clip.waveform) > 0.999) < 0.01


def test_a_path_and_its_bytes_give_the_same_clip(tmp_path: Path) -> None:
    data = wav(tone(), kind="FLAC")
    (tmp_path / "voice.raw").write_bytes(data)  # the ending says nothing
    np.testing.assert_array_equal(decode(tmp_path / "voice.raw").waveform, decode(data).waveform)


def test_only_what_is_listened_to_is_kept_and_it_begins_with_the_first_sound() -> None:
    silence = np.zeros(10 * 16_000, dtype=np.float32)
    clip = decode(wav(np.concatenate([silence, tone(30.0)])), Limits(heard_seconds=5.0))
    assert clip.duration_seconds == pytest.approx(40.0)
    assert 5.0 <= len(clip.waveform) / 16_000 <= 7.0
    assert np.abs(clip.waveform[16_000:32_000]).max() > 0.3


def test_many_threads_hear_the_same() -> None:
    data = encoded("ipod", "aac", tone(2.0, 48_000))
    with ThreadPoolExecutor(8) as threads:
        clips = list(threads.map(decode, [data] * 24))
    assert all(np.array_equal(clip.waveform, clips[0].waveform) for clip in clips)


def test_an_empty_file_is_told() -> None:
    assert code_of(b"") == "empty_file"


@pytest.mark.parametrize(
    "content",
    [
        b"Dear all,\nplease find my voice attached.\n" * 40,
        b"#EXTM3U\n#EXTINF:10,\nfile:///etc/hostname\n",
        b"ffconcat version 1.0\nfile '/etc/hostname'\n",
        b"<!doctype html><title>404</title>",
        b"\x89PNG\r\n\x1a\n" + bytes(2_000),
        bytes(range(256)) * 8,
    ],
    ids=["letter", "playlist", "concat", "page", "picture", "noise"],
)
def test_what_is_no_recording_is_told(content: bytes) -> None:
    assert code_of(content) in ("not_audio", "corrupt_audio")


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    assert code_of(tmp_path / "nowhere.wav") == "unreadable_file"


@pytest.mark.parametrize("kind", ["WAV", "FLAC", "AIFF"])
def test_a_file_cut_off_while_copying_is_told(kind: str) -> None:
    whole = wav(tone(4.0), kind=kind)
    assert code_of(whole[: len(whole) // 2]) == "truncated_audio"


def test_an_m4a_cut_off_after_its_index_is_told(tmp_path: Path) -> None:
    file = tmp_path / "memo.m4a"
    with av.open(str(file), "w", format="mp4", options={"movflags": "faststart"}) as container:
        stream = container.add_stream("aac", rate=48_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(tone(4.0, 48_000)[None], format="fltp", layout="mono")
        frame.sample_rate = 48_000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    whole = file.read_bytes()
    assert code_of(whole[: len(whole) * 2 // 3]) in ("truncated_audio", "corrupt_audio")


@pytest.mark.parametrize("kind", ["WAV", "FLAC", "AIFF"])
def test_what_a_tagging_program_left_behind_the_sound_is_no_damage(kind: str) -> None:
    whole = wav(tone(), kind=kind)
    tagged = decode(whole + b"TAG" + b"somebody".ljust(125, b"\0"))
    assert np.array_equal(tagged.waveform, decode(whole).waveform)


def test_a_wav_header_that_promises_more_than_there_is_is_told() -> None:
    data = bytearray(wav(tone()))
    at = data.index(b"data") + 4
    data[at : at + 4] = struct.pack("<I", 50_000_000)
    assert code_of(bytes(data)) == "truncated_audio"


@pytest.mark.parametrize("size", [0, 0x7FFFF000, 0xFFFFFFFF], ids=["zero", "sox", "ffmpeg"])
def test_a_wav_that_was_streamed_and_does_not_know_its_length_is_heard(size: int) -> None:
    data = bytearray(wav(tone()))
    at = data.index(b"data") + 4
    data[at : at + 4] = struct.pack("<I", size)
    data[4:8] = struct.pack("<I", size)
    assert decode(bytes(data)).duration_seconds == pytest.approx(2.0, abs=0.01)


def test_damage_inside_a_file_is_told() -> None:
    data = bytearray(wav(np.random.default_rng(0).normal(0, 0.2, 64_000).astype(np.float32), kind="FLAC"))
    data[20_000:60_000] = bytes(40_000)
    assert code_of(bytes(data)) in ("corrupt_audio", "truncated_audio")


def test_a_header_with_an_absurd_rate_is_told() -> None:
    data = bytearray(wav(tone()))
    data[24:28] = struct.pack("<I", 7)
    assert code_of(bytes(data)) == "corrupt_audio"


def test_a_blip_is_too_short() -> None:
    assert code_of(wav(tone(0.3))) == "too_short"


@pytest.mark.parametrize(
    "samples",
    [np.zeros(32_000, np.float32), np.full(32_000, np.nan, np.float32), np.full(32_000, 1e-5, np.float32)],
    ids=["zeros", "not numbers", "next to nothing"],
)
def test_silence_is_told(samples: Samples) -> None:
    assert code_of(wav(samples, subtype="FLOAT")) == "no_speech"


def test_hours_are_refused_from_the_header_without_decoding_them() -> None:
    assert code_of(wav(tone(30.0), kind="FLAC"), Limits(max_seconds=20.0)) == "too_long"


def test_a_multitrack_session_is_refused() -> None:
    assert code_of(wav(np.zeros((16_000, 33), np.float32))) == "too_many_channels"
