"""A face says inside its own file what it is, and pictures are small, quick and always the same."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from core.faces.contact_sheet import MOST_TILES, Tile, contact_sheet, contact_sheet_png
from worker.ml.pictures import face_metadata, face_png, face_thumbnail, read_metadata, spectrogram_png

FACE = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
METADATA = face_metadata("default@1", "ab" * 32)


def test_a_face_says_that_it_was_generated_and_from_what() -> None:
    said = read_metadata(face_png(FACE, METADATA))
    assert said["Software"] == "voicesketch"
    assert said["Description"].startswith("AI-generated")
    assert said["DigitalSourceType"].endswith("trainedAlgorithmicMedia")
    assert (said["model_version"], said["recording_sha256"]) == ("default@1", "ab" * 32)


def test_standard_tools_find_the_xmp_packet() -> None:
    with Image.open(io.BytesIO(face_png(FACE, METADATA))) as picture:
        packet = picture.info["XML:com.adobe.xmp"]
    assert "Iptc4xmpExt:DigitalSourceType" in packet
    assert "trainedAlgorithmicMedia" in packet


def test_a_thumbnail_is_a_few_kilobytes_and_says_that_it_was_generated() -> None:
    slope = np.linspace(0, 255, 224).astype(np.uint8)
    face = np.stack(
        [np.tile(slope, (224, 1)), np.tile(slope[:, None], (1, 224)), np.full((224, 224), 90)], axis=2
    )
    small = face_thumbnail(face.astype(np.uint8), METADATA)
    assert len(small) < 5_000
    with Image.open(io.BytesIO(small)) as picture:
        assert (picture.format, picture.size) == ("WEBP", (192, 192))
        assert b"trainedAlgorithmicMedia" in picture.info["xmp"]
        assert str(picture.getexif()[0x010E]).startswith("AI-generated")
        seen = np.asarray(picture.convert("RGB"), dtype=np.int16)
    wanted = np.asarray(Image.fromarray(face.astype(np.uint8)).resize((192, 192)), dtype=np.int16)
    assert np.abs(seen - wanted).mean() < 3
    assert small == face_thumbnail(face.astype(np.uint8), dict(METADATA))


def test_pixels_survive_and_the_same_face_gives_the_same_bytes() -> None:
    png = face_png(FACE, METADATA)
    with Image.open(io.BytesIO(png)) as picture:
        np.testing.assert_array_equal(np.asarray(picture), FACE)
    assert png == face_png(FACE.copy(), dict(METADATA))


@pytest.mark.parametrize("length", [0, 1, 700, 160_000])
def test_a_spectrogram_is_small_whatever_it_shows(length: int) -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, length).astype(np.float32)
    png = spectrogram_png(noise)
    assert len(png) < 25_000
    with Image.open(io.BytesIO(png)) as picture:
        assert picture.size == (336, 112)


def test_a_contact_sheet_shows_faces_failures_and_odd_names() -> None:
    face, sound = face_png(FACE, METADATA), spectrogram_png(np.zeros(16_000, np.float32))
    tiles = [
        Tile("talk.wav", face, sound, None),
        Tile("cut.flac", None, None, "truncated_audio"),
        Tile("\u202e\x00🎤\n" + "n" * 300, face, None, None),
        Tile("damaged.wav", b"no picture", b"", None),
    ]
    sheet = contact_sheet(tiles, "4 recordings")
    assert sheet.mode == "RGB"
    assert sheet.width < 1_000


def test_a_contact_sheet_of_thousands_stops_at_a_viewable_size() -> None:
    many = contact_sheet(
        [Tile(f"{n}.wav", None, None, "no_speech") for n in range(2_000)], "2,000 recordings"
    )
    full = contact_sheet(
        [Tile(f"{n}.wav", None, None, "no_speech") for n in range(MOST_TILES)], "400 recordings"
    )
    assert many.size == full.size


def test_a_contact_sheet_says_that_it_was_generated_as_its_faces_do() -> None:
    said = read_metadata(
        contact_sheet_png([Tile("talk.wav", face_png(FACE, METADATA), None, None)], "1 recording")
    )
    assert said["Description"].startswith("AI-generated")
    assert said["DigitalSourceType"].endswith("trainedAlgorithmicMedia")


def test_a_contact_sheet_of_nothing_is_still_a_picture() -> None:
    assert contact_sheet([], "nothing").height > 100
