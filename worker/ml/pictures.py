"""Pictures as files: faces that say what they are, and small spectrograms.

Every face carries, inside the PNG itself, that it was generated and by what: as text chunks, and as an XMP packet with
the IPTC term `trainedAlgorithmicMedia`, which picture tools and platforms look for. Where the model knows the landmarks
of a face, they are among them. The same pixels and the same metadata give the same bytes.
"""

from __future__ import annotations

import io
import json
import zlib
from collections.abc import Mapping
from functools import cache
from typing import Literal
from xml.sax.saxutils import quoteattr

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view
from PIL import Image
from PIL.PngImagePlugin import PngInfo

SOFTWARE = "voicesketch"
DESCRIPTION = (
    "AI-generated guess of a face from a recording of a voice. Not a likeness and not evidence of identity."
)
DESCRIPTION_OF_FACE_TO_FACE = (
    "AI-generated reconstruction of a face from a picture. Not a photograph and not evidence of identity."
)
SOURCE_TYPE = "trainedAlgorithmicMedia"
SOURCE_TYPE_URI = f"http://cv.iptc.org/newscodes/digitalsourcetype/{SOURCE_TYPE}"
XMP_KEY = "XML:com.adobe.xmp"
LANDMARKS_KEY = "voicesketch:landmarks"  # `core/faces/landmarks.py` reads it
LANDMARKS_ORDER = "ibug68"

THUMBNAIL_SIDE = 192  # a tile of a gallery is about as wide
THUMBNAIL_TYPE = "image/webp"
_EXIF_DESCRIPTION, _EXIF_SOFTWARE = 0x010E, 0x0131

SPECTROGRAM_WIDTH, SPECTROGRAM_HEIGHT = 336, 112
_RATE, _FFT, _LOW_HZ, _HIGH_HZ = 16_000, 512, 60.0, 7_600.0
_SHADES = 40  # no banding to be seen, and a file a tenth smaller than with 64
_RANGE_DB = 60.0  # what lies further below the loudest cell is background
# From transparent-looking slate through teal to warm sand; even steps in lightness, legible on white and on black.
_COLOUR_STOPS = (
    (30, 41, 59),
    (37, 66, 92),
    (38, 99, 118),
    (52, 136, 131),
    (110, 170, 132),
    (186, 197, 138),
    (246, 222, 170),
)


def face_metadata(
    model_version: str,
    input_sha256: str,
    drawn_from: Literal["voice", "face"] = "voice",
    landmarks: npt.NDArray[np.float32] | None = None,
) -> dict[str, str]:
    """What every face says about itself beyond being generated; the shell and the queue both use this.

    Args:
        landmarks: `[68, 2]`, x then y in pixels of the face.
    """
    said = {"model_version": model_version}
    if drawn_from == "face":
        said |= {"Description": DESCRIPTION_OF_FACE_TO_FACE, "picture_sha256": input_sha256}
    else:
        said["recording_sha256"] = input_sha256
    if landmarks is not None:
        # A tenth of a pixel is finer than anybody knows them.
        points = landmarks.astype(np.float64).round(1).tolist()
        said[LANDMARKS_KEY] = json.dumps({"order": LANDMARKS_ORDER, "points": points}, separators=(",", ":"))
    return said


def face_png(rgb: npt.NDArray[np.uint8], metadata: Mapping[str, str]) -> bytes:
    """A face as PNG.

    Args:
        rgb: uint8 `[H, W, 3]`.
        metadata: further text entries, such as `face_metadata` makes.
    """
    entries = {
        "Software": SOFTWARE,
        "Description": DESCRIPTION,
        "DigitalSourceType": SOURCE_TYPE_URI,
        **metadata,
    }
    info = PngInfo()
    for key, value in entries.items():
        info.add_itxt(key, value)
    info.add_itxt(XMP_KEY, _xmp(metadata))
    return _encode(Image.fromarray(rgb), info)


def face_thumbnail(rgb: npt.NDArray[np.uint8], metadata: Mapping[str, str]) -> bytes:
    """A small copy of a face as WebP, 192 pixels along its longer side and a few kilobytes, with the same XMP packet.

    Args:
        rgb: uint8 `[H, W, 3]`.
        metadata: as for `face_png`.
    """
    picture = Image.fromarray(rgb)
    picture.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE), Image.Resampling.LANCZOS)
    exif = Image.Exif()
    exif[_EXIF_DESCRIPTION] = metadata.get("Description", DESCRIPTION)
    exif[_EXIF_SOFTWARE] = SOFTWARE
    file = io.BytesIO()
    picture.save(file, format="WEBP", quality=72, method=2, xmp=_xmp(metadata).encode(), exif=exif)
    return file.getvalue()


def read_metadata(png: bytes) -> dict[str, str]:
    """The text entries of a PNG, without the XMP packet."""
    with Image.open(io.BytesIO(png)) as picture:
        picture.load()
        entries = getattr(picture, "text", {})
        return {str(key): str(value) for key, value in entries.items() if key != XMP_KEY}


def spectrogram_png(waveform: npt.NDArray[np.float32]) -> bytes:
    """A log-mel spectrogram of a clip (`[T]`, 16 kHz), low notes at the bottom, 336x112, as a palette PNG."""
    columns = SPECTROGRAM_WIDTH
    needed = _FFT + columns
    samples = waveform if len(waveform) >= needed else np.pad(waveform, (0, needed - len(waveform)))
    starts = np.linspace(0, len(samples) - _FFT, columns).astype(np.int64)
    frames = sliding_window_view(samples, _FFT)[starts] * _hann()
    spectra = np.fft.rfft(frames, axis=1)
    power = np.square(spectra.real) + np.square(spectra.imag)  # [columns, bins]
    level = 10 * np.log10(power @ _mel_bank() + np.float32(1e-10))  # [columns, rows]
    loudest = float(level.max())
    shade = np.clip((level - loudest) / _RANGE_DB + 1, 0, 1)
    picture = Image.fromarray(
        np.ascontiguousarray((shade * (_SHADES - 1)).round().astype(np.uint8).T[::-1]), mode="P"
    )
    picture.putpalette(_palette())
    return _encode(picture, PngInfo())


def _encode(picture: Image.Image, info: PngInfo) -> bytes:
    file = io.BytesIO()
    # Faces and spectrograms have runs and hardly anything else that comes twice. Looking for runs alone takes a quarter
    # of the time of Pillow's own way; faces become a tenth larger, spectrograms a fiftieth.
    picture.save(file, format="PNG", pnginfo=info, compress_type=zlib.Z_RLE)
    return file.getvalue()


def _xmp(metadata: Mapping[str, str]) -> str:
    attributes = {
        "Iptc4xmpExt:DigitalSourceType": SOURCE_TYPE_URI,
        "xmp:CreatorTool": f"{SOFTWARE} {metadata.get('model_version', '')}".strip(),
        "photoshop:Credit": "AI-generated",
    }
    said = " ".join(f"{name}={quoteattr(value)}" for name, value in attributes.items())
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" '
        'xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" xmlns:xmp="http://ns.adobe.com/xap/1.0/" '
        f'xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/" {said}/></rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
    )


@cache
def _hann() -> npt.NDArray[np.float32]:
    return np.hanning(_FFT).astype(np.float32)


@cache
def _mel_bank() -> npt.NDArray[np.float32]:
    """Triangles `[bins, rows]` evenly spaced on the mel scale; each at least a bin wide, so low rows are not empty."""

    def mel(hertz: float) -> float:
        return 2595 * float(np.log10(1 + hertz / 700))

    centres = 700 * (10 ** (np.linspace(mel(_LOW_HZ), mel(_HIGH_HZ), SPECTROGRAM_HEIGHT) / 2595) - 1)
    bin_width = _RATE / _FFT
    half_width = np.maximum(np.gradient(centres), bin_width)
    bins = np.arange(_FFT // 2 + 1) * bin_width
    triangles = np.maximum(0, 1 - np.abs(bins[:, None] - centres) / half_width)
    return np.asarray(triangles / triangles.sum(axis=0), dtype=np.float32)


@cache
def _palette() -> bytes:
    """`_SHADES` colours, red, green and blue each a byte."""
    stops = np.asarray(_COLOUR_STOPS, dtype=np.float64)
    at = np.linspace(0, len(stops) - 1, _SHADES)
    channels = [np.interp(at, np.arange(len(stops)), stops[:, channel]) for channel in range(3)]
    return np.stack(channels, axis=1).round().astype(np.uint8).tobytes()
