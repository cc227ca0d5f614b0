"""One small, sound file of every format that is taken, written by the libraries that people's programs use."""

from __future__ import annotations

import io
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import soundfile
from PIL import Image

SAMPLES = Path(__file__).resolve().parents[2] / "samples"
SECONDS = 0.7  # short, so that thousands are decoded in seconds

_PLAIN = (
    ("WAV", "PCM_16"),
    ("WAV", "PCM_24"),
    ("WAV", "FLOAT"),
    ("WAV", "ULAW"),
    ("WAV", "IMA_ADPCM"),
    ("WAV", "MS_ADPCM"),
    ("WAVEX", "PCM_16"),
    ("RF64", "PCM_16"),
    ("W64", "PCM_16"),
    ("AIFF", "PCM_16"),
    ("AIFF", "FLOAT"),
    ("AU", "PCM_16"),
    ("CAF", "PCM_16"),
    ("CAF", "ALAC_16"),
    ("VOC", "PCM_16"),
    ("FLAC", "PCM_16"),
    ("OGG", "VORBIS"),
    ("OGG", "OPUS"),
    ("AVR", "PCM_16"),
    ("HTK", "PCM_16"),
    ("IRCAM", "PCM_16"),
    ("MAT4", "PCM_16"),
    ("MAT5", "PCM_16"),
    ("NIST", "PCM_16"),
    ("PAF", "PCM_16"),
    ("PVF", "PCM_16"),
    ("SDS", "PCM_16"),
    ("SVX", "PCM_16"),
    ("XI", "DPCM_16"),
)
# Format, codec, and rate in Hz.
_CONTAINED = (
    ("mp3", "libmp3lame", 44_100),
    ("mp2", "mp2", 44_100),
    ("ipod", "aac", 44_100),
    ("mp4", "alac", 44_100),
    ("mov", "pcm_s16le", 16_000),
    ("3gp", "libopencore_amrnb", 8_000),
    ("amr", "libopencore_amrnb", 8_000),
    ("adts", "aac", 44_100),
    ("latm", "aac", 44_100),
    ("webm", "libopus", 48_000),
    ("matroska", "aac", 44_100),
    ("matroska", "pcm_s16le", 16_000),
    ("ogg", "libopus", 48_000),
    ("ac3", "ac3", 44_100),
    ("eac3", "eac3", 44_100),
    ("asf", "wmav2", 44_100),
    ("avi", "libmp3lame", 44_100),
    ("flv", "libmp3lame", 44_100),
    ("mpegts", "aac", 44_100),
    ("vob", "mp2", 44_100),
    ("tta", "tta", 16_000),
    ("wv", "wavpack", 16_000),
    ("caf", "pcm_s16be", 16_000),
    ("wav", "adpcm_ms", 16_000),
    ("wav", "g722", 16_000),
    ("w64", "pcm_s16le", 16_000),
)


@cache
def recordings() -> dict[str, bytes]:
    """Files by name, each with the same second of one of the product's samples."""
    voice = _voice()
    return {**dict(_plain(voice)), **dict(_contained(voice))}


@cache
def pictures() -> dict[str, bytes]:
    """Files by name, each with the same picture of 96×64 pixels."""
    return dict(_pictures())


def _voice() -> npt.NDArray[np.float32]:
    samples, rate = soundfile.read(SAMPLES / "lantern.flac", dtype="float32")
    begin = int(np.abs(samples).argmax())
    begin = min(begin, len(samples) - round(SECONDS * rate))
    voice: npt.NDArray[np.float32] = samples[begin : begin + round(SECONDS * rate)]
    return voice


def _plain(voice: npt.NDArray[np.float32]) -> Iterator[tuple[str, bytes]]:
    for kind, subtype in _PLAIN:
        file = io.BytesIO()
        # The last kind knows one rate only, at which this would be too short.
        samples, rate = (np.tile(voice, 3), 44_100) if kind == "XI" else (voice, 16_000)
        soundfile.write(file, samples, rate, format=kind, subtype=subtype)
        yield f"{kind}-{subtype}".lower(), file.getvalue()


def _contained(voice: npt.NDArray[np.float32]) -> Iterator[tuple[str, bytes]]:
    for kind, codec, rate in _CONTAINED:
        file = io.BytesIO()
        with av.open(file, "w", format=kind) as container:
            stream: Any = container.add_stream(codec, rate=rate, layout="mono")
            stream.bit_rate = 12_200 if "amr" in codec else 64_000
            frame = av.AudioFrame.from_ndarray(voice[None], format="fltp", layout="mono")
            frame.sample_rate = 16_000
            context = stream.codec_context
            sampler = av.AudioResampler(
                format=context.format, layout="mono", rate=rate, frame_size=context.frame_size or 1024
            )
            for piece in [*sampler.resample(frame), *sampler.resample(None)]:
                container.mux(stream.encode(piece))
            container.mux(stream.encode(None))
        yield f"{kind}-{codec}", file.getvalue()


def _pictures() -> Iterator[tuple[str, bytes]]:
    down, across = np.mgrid[:64, :96]
    rgb = np.stack([across * 2.6, down * 4, (across * down) % 256], axis=2).astype(np.uint8)
    colour = Image.fromarray(rgb)
    grey = Image.fromarray((across * 700).astype(np.uint16))
    clear = colour.copy()
    clear.putalpha(Image.fromarray((down * 4).astype(np.uint8)))
    turned = Image.Exif()
    turned[0x0112] = 6
    ways: dict[str, tuple[Image.Image, str, dict[str, Any]]] = {
        "jpeg": (colour, "JPEG", {"exif": turned}),
        "jpeg-progressive": (colour, "JPEG", {"progressive": True, "subsampling": 0}),
        "jpeg-cmyk": (colour.convert("CMYK"), "JPEG", {}),
        "png": (colour, "PNG", {}),
        "png-palette": (colour.quantize(16), "PNG", {"transparency": 0}),
        "png-16-bit": (grey, "PNG", {}),
        "png-clear": (clear, "PNG", {}),
        "apng": (colour, "PNG", {"save_all": True, "append_images": [colour.transpose(Image.Transpose(1))]}),
        "webp": (colour, "WEBP", {}),
        "webp-lossless": (clear, "WEBP", {"lossless": True}),
        "webp-moving": (colour, "WEBP", {"save_all": True, "append_images": [clear]}),
        "avif": (colour, "AVIF", {"speed": 10}),
        "gif": (colour, "GIF", {"save_all": True, "append_images": [colour.transpose(Image.Transpose(1))]}),
        "bmp": (colour, "BMP", {}),
        "tiff": (colour, "TIFF", {}),
        "tiff-lzw": (colour, "TIFF", {"compression": "tiff_lzw"}),
        "tiff-deflate": (grey, "TIFF", {"compression": "tiff_adobe_deflate"}),
        "tiff-jpeg": (colour, "TIFF", {"compression": "jpeg"}),
        "tiff-fax": (colour.convert("1"), "TIFF", {"compression": "group4"}),
        "ppm": (colour, "PPM", {}),
        "jpeg2000": (colour, "JPEG2000", {}),
        "mpo": (colour, "MPO", {"save_all": True, "append_images": [colour]}),
    }
    for name, (image, kind, options) in ways.items():
        file = io.BytesIO()
        image.save(file, kind, **options)
        yield name, file.getvalue()
