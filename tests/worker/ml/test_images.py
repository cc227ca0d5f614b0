"""Whatever people call a picture becomes upright 8-bit RGB, or is refused with a reason they can act on."""

from __future__ import annotations

import io
import struct
import zlib
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageCms

from worker.ml.errors import PictureError
from worker.ml.images import picture_png, read_picture, resized

Rgb = npt.NDArray[np.uint8]


def scene(width: int = 40, height: int = 24) -> Rgb:
    """A red corner at the top left, a blue one at the bottom right, green between."""
    picture = np.full((height, width, 3), (20, 160, 60), dtype=np.uint8)
    picture[: height // 2, : width // 2] = (220, 30, 30)
    picture[height // 2 :, width // 2 :] = (30, 40, 210)
    return picture


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def code_of(content: bytes, **options: int) -> str:
    with pytest.raises(PictureError) as caught:
        read_picture(content, **options)
    assert caught.value.message.endswith(".")
    return caught.value.code


def is_close(found: Rgb, wanted: Rgb, tolerance: int = 12) -> bool:
    return found.shape == wanted.shape and bool(
        (np.abs(found.astype(int) - wanted.astype(int)).mean(axis=(0, 1)) < tolerance).all()
    )


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "PPM", "JPEG", "WEBP", "AVIF", "JPEG2000", "GIF"])
def test_every_common_format_is_read_as_rgb(kind: str) -> None:
    picture = read_picture(encoded(Image.fromarray(scene()), kind))
    assert (picture.format, picture.frames) == (kind, 1)
    assert picture.rgb.dtype == np.uint8
    assert is_close(picture.rgb, scene())


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_is_turned_as_the_camera_was_held(orientation: int) -> None:
    turned = {
        1: lambda p: p,
        2: lambda p: p[:, ::-1],
        3: lambda p: p[::-1, ::-1],
        4: lambda p: p[::-1],
        5: lambda p: p.transpose(1, 0, 2),
        6: lambda p: np.rot90(p, 1),
        7: lambda p: p[::-1, ::-1].transpose(1, 0, 2),
        8: lambda p: np.rot90(p, -1),
    }[orientation](scene())
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = encoded(Image.fromarray(np.ascontiguousarray(turned)), "PNG", exif=exif)
    assert (read_picture(content).rgb == scene()).all()


def test_cmyk_becomes_rgb() -> None:
    image = Image.fromarray(scene()).convert("CMYK")
    assert is_close(read_picture(encoded(image, "JPEG", quality=95)).rgb, scene())
    assert is_close(read_picture(encoded(image, "TIFF")).rgb, scene(), 2)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bits_become_eight_without_losing_the_range(kind: str) -> None:
    ramp = np.linspace(0, 65535, 64 * 8).reshape(8, 64).astype(np.uint16)
    rgb = read_picture(encoded(Image.fromarray(ramp), kind)).rgb
    assert np.abs(rgb[..., 0].astype(float) - ramp / 257).max() <= 0.5
    assert (rgb[..., 0] == rgb[..., 2]).all()


@pytest.mark.parametrize(("brightest", "expected"), [(1.0, 255), (200.0, 200), (65535.0, 255)])
def test_floating_point_greys_are_scaled_by_the_range_they_show(brightest: float, expected: int) -> None:
    values = np.linspace(0, brightest, 32 * 32, dtype=np.float32).reshape(32, 32)
    values[0, 1] = np.nan
    rgb = read_picture(encoded(Image.fromarray(values), "TIFF")).rgb
    assert (rgb[0, 0].max(), rgb[0, 1].max(), rgb[-1, -1].min()) == (0, 0, expected)


@pytest.mark.parametrize("mode", ["L", "1"])
def test_greys_have_three_equal_channels(mode: str) -> None:
    rgb = read_picture(encoded(Image.fromarray(scene()).convert(mode), "PNG")).rgb
    assert rgb.shape == (24, 40, 3)
    assert (rgb[..., 0] == rgb[..., 1]).all() and (rgb[..., 1] == rgb[..., 2]).all()


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_what_is_transparent_is_white(mode: str) -> None:
    image = Image.fromarray(scene()).convert(mode)
    image.putalpha(Image.fromarray(np.where(np.arange(40) < 20, 0, 255).astype(np.uint8)[None].repeat(24, 0)))
    rgb = read_picture(encoded(image, "PNG")).rgb
    assert (rgb[:, :20] == 255).all()
    assert (rgb[:, 20:] == np.asarray(Image.fromarray(scene()).convert(mode).convert("RGB"))[:, 20:]).all()


def test_a_palette_with_a_transparent_colour_is_laid_over_white() -> None:
    image = Image.new("P", (4, 2))
    image.putpalette([0, 0, 0, 200, 10, 10])
    image.putdata([0, 0, 1, 1] * 2)
    rgb = read_picture(encoded(image, "PNG", transparency=0)).rgb
    assert rgb[0].tolist() == [[255] * 3] * 2 + [[200, 10, 10]] * 2


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_of_an_animation_the_first_frame_is_taken_and_the_rest_noted(kind: str) -> None:
    later = Image.new("RGB", (40, 24), (0, 0, 0))
    content = encoded(
        Image.fromarray(scene()), kind, save_all=True, append_images=[later, later.rotate(3)], duration=40
    )
    picture = read_picture(content)
    assert picture.frames >= 2
    assert is_close(picture.rgb, scene())


def test_a_colour_profile_changes_no_pixel() -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    content = encoded(Image.fromarray(scene()), "PNG", icc_profile=profile)
    assert (read_picture(content).rgb == scene()).all()


def test_a_small_file_that_claims_many_pixels_is_refused_before_it_is_unpacked() -> None:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    for side in (9_000, 60_000):
        header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
        bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")
        assert code_of(bomb) == "image_too_large"
    assert code_of(encoded(Image.fromarray(scene()), "PNG"), most_pixels=500) == "image_too_large"


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "TIFF"])
@pytest.mark.parametrize("kept", [0.04, 0.3, 0.7])
def test_a_picture_that_is_cut_off_is_corrupt(kind: str, kept: float) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3)).astype(np.uint8)
    whole = encoded(Image.fromarray(noise), kind)
    assert code_of(whole[: int(len(whole) * kept)]) == "corrupt_image"


@pytest.mark.filterwarnings("ignore")  # Pillow warns of broken tags
def test_a_damaged_picture_is_refused_or_read_but_never_crashes() -> None:
    chance = np.random.default_rng(1)
    for kind in ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP"):
        whole = np.frombuffer(encoded(Image.fromarray(scene(64, 64)), kind), dtype=np.uint8)
        for _ in range(40):
            damaged = whole.copy()
            places = chance.integers(0, len(whole), 6)
            damaged[places] = chance.integers(0, 256, 6)
            try:
                rgb = read_picture(damaged.tobytes(), most_pixels=1_000_000).rgb
            except PictureError as error:
                assert error.code in {"not_image", "corrupt_image", "image_too_large"}  # noqa: PT017
            else:
                assert rgb.ndim == 3 and rgb.shape[2] == 3


def test_what_is_no_picture_says_what_to_send() -> None:
    assert code_of(b"") == "not_image"
    assert code_of(b"RIFF\x24\x00\x00\x00WAVEfmt ") == "not_image"
    assert code_of(b"<svg xmlns='http://www.w3.org/2000/svg'/>") == "not_image"
    assert (
        code_of(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n") == "not_image"
    )  # would start a program


def test_a_heic_picture_is_refused_by_its_name() -> None:
    with pytest.raises(PictureError, match="HEIC"):
        read_picture(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(64))


def test_pictures_are_read_alike_in_many_threads() -> None:
    content = encoded(Image.fromarray(scene(200, 200)), "JPEG")
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: read_picture(content).rgb.tobytes(), range(32)))
    assert len(set(found)) == 1


def test_a_kept_picture_is_lossless_and_always_the_same_bytes() -> None:
    png = picture_png(scene())
    assert (read_picture(png).rgb == scene()).all()
    assert png == picture_png(scene().copy())
    with Image.open(io.BytesIO(png)) as image:
        assert not image.info


def test_making_a_picture_smaller_averages_instead_of_skipping_pixels() -> None:
    stripes = np.zeros((64, 64, 3), dtype=np.uint8)
    stripes[:, ::2] = 255
    assert np.abs(resized(stripes, 8, 8).astype(int) - 127).max() < 12
