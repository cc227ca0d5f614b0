"""From any picture file to the pixels a network sees: upright, 8-bit, red-green-blue.

What a file claims is checked before its pixels are unpacked, and only the formats named here are tried: some others
could start programs or read further files. Safe to call from several threads; unpacking releases the interpreter lock.
"""

from __future__ import annotations

import io
import struct
import zlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from worker.ml.errors import PictureError

FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "GIF", "BMP", "TIFF", "PPM", "JPEG2000")
_BEGINNINGS = (
    b"\xff\xd8\xff",
    b"\x89PNG\r\n",
    b"GIF8",
    b"BM",
    b"II*\0",
    b"MM\0*",
    b"\0\0\0\x0cjP  ",
    b"\xff\x4f\xff\x51",
)
MOST_PIXELS = 64_000_000  # 192 MB unpacked; no camera that takes portraits needs more
# What a damaged file makes Pillow raise, besides its own errors.
_DAMAGE = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)

Rgb = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Picture:
    """A picture as it is to be looked at.

    Attributes:
        rgb: uint8 `[H, W, 3]`, turned as the camera was held, transparent parts white.
        format: of the file, such as `JPEG`.
        frames: how many pictures the file holds; only the first is taken.
    """

    rgb: Rgb
    format: str
    frames: int


def read_picture(content: bytes, most_pixels: int = MOST_PIXELS) -> Picture:
    """Unpack a picture file.

    EXIF orientation is applied; CMYK, palettes, greys, 16-bit and floating-point values become 8-bit RGB; transparency
    is laid over white; of an animation the first frame counts. Colour profiles are not applied: networks were trained
    on pictures read without them.

    Args:
        content: of the file.
        most_pixels: larger pictures are refused by what their header says, before they are unpacked.

    Raises:
        PictureError: `not_image`, `corrupt_image`, `image_too_large` or `decoding_needs_memory`.
    """
    if not content:
        raise PictureError("not_image", "The file is empty (0 bytes). Copy the picture again.")
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            if image.width * image.height > most_pixels:
                raise _too_large(f"{image.width}×{image.height} pixels", most_pixels)
            kind = image.format or ""
            frames = _frames(image)
            image.load()
            return Picture(_rgb(_upright(image)), kind, frames)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as failure:
        raise _too_large("far too many pixels", most_pixels) from failure
    except UnidentifiedImageError as failure:
        raise _unknown(content) from failure
    except MemoryError as failure:
        raise needs_memory() from failure
    except _DAMAGE as failure:
        raise _corrupt() from failure


def resized(rgb: Rgb, width: int, height: int) -> Rgb:
    """Bicubic with antialiasing, whatever the proportions. uint8 `[H, W, 3]` -> `[height, width, 3]`."""
    if rgb.shape[:2] == (height, width):
        return rgb
    return np.asarray(Image.fromarray(rgb).resize((width, height), Image.Resampling.BICUBIC))


def picture_png(rgb: Rgb) -> bytes:
    """A lossless file of uint8 `[H, W, 3]`. The same pixels give the same bytes; it carries nothing else."""
    file = io.BytesIO()
    Image.fromarray(rgb).save(file, "PNG", compress_level=4)  # 2 % larger than level 6, in half the time
    return file.getvalue()


def _frames(image: Image.Image) -> int:
    if image.format == "MPO":  # one photograph, with previews or a second eye's view behind it
        return 1
    try:
        return int(getattr(image, "n_frames", 1))
    except _DAMAGE:
        return 1  # a later frame is damaged, and we only want the first


def _upright(image: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    except _DAMAGE:
        return image  # the notes are damaged, the pixels are not


def _rgb(image: Image.Image) -> Rgb:
    """Any of Pillow's kinds of pixels -> uint8 `[H, W, 3]`."""
    if image.mode.startswith("I") or image.mode == "F":
        grey = _eight_bits(np.array(image, dtype=np.float64), image.mode)
        return np.repeat(grey[:, :, None], 3, axis=2)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        paper = Image.new("RGBA", image.size, (255, 255, 255, 255))
        image = Image.alpha_composite(paper, image)
    return np.array(
        image.convert("RGB")
    )  # a copy of its own: torch takes no arrays that cannot be written to


def _eight_bits(values: npt.NDArray[np.float64], mode: str) -> npt.NDArray[np.uint8]:
    """Greys of 16 bits or more, or of floating point, by the range that their values show.

    In place: of a large picture there would be gigabytes otherwise.
    """
    np.nan_to_num(values, copy=False)
    brightest = float(values.max(initial=0.0))
    if mode.startswith("I;16") or brightest > 255:
        values /= 257
    elif mode == "F" and brightest <= 1:
        values *= 255
    np.rint(values, out=values)
    return np.clip(values, 0, 255, out=values).astype(np.uint8)


def _too_large(found: str, most_pixels: int) -> PictureError:
    return PictureError(
        "image_too_large",
        f"The picture has {found}; at most {most_pixels // 1_000_000} million are accepted. Make it smaller first.",
    )


def needs_memory() -> PictureError:
    """What is said where unpacking a picture reached the limit of its memory."""
    return PictureError(
        "decoding_needs_memory",
        "Unpacking the picture takes more memory than there is for one. Make it smaller, or export it as JPEG.",
    )


def _corrupt() -> PictureError:
    return PictureError("corrupt_image", "The picture is damaged or cut off. Export or copy it again.")


def _unknown(content: bytes) -> PictureError:
    """Pillow knows no format that fits; the first bytes tell a damaged picture from something else."""
    brand = content[8:12] if content[4:8] == b"ftyp" else b""
    if brand in (b"heic", b"heix", b"hevc", b"mif1", b"msf1"):
        return PictureError("not_image", "HEIC pictures cannot be read here. Export it as JPEG or PNG.")
    is_webp = content[:4] == b"RIFF" and content[8:12] == b"WEBP"
    if content.startswith(_BEGINNINGS) or is_webp or brand in (b"avif", b"avis"):
        return _corrupt()
    return PictureError(
        "not_image", "The file is not a picture in a format we know. Send JPEG, PNG, WebP, AVIF or TIFF."
    )
