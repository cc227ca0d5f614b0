"""Landmarks are read from the beginning of a PNG, whatever else, or nothing, is there."""

from __future__ import annotations

import io
import json
import struct
import zlib
from typing import Any

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from core.faces.landmarks import KEY, read_landmarks

POINTS = [[n + 0.5, float(-n)] for n in range(68)]


def picture(text: str | None, key: str = KEY, *, compressed: bool = False) -> bytes:
    told = PngInfo()
    told.add_itxt("Description", "a face")
    if text is not None:
        told.add_itxt(key, text, zip=compressed)
    file = io.BytesIO()
    Image.effect_noise((60, 40), 50).save(file, "PNG", pnginfo=told)
    return file.getvalue()


def told(points: Any = POINTS, order: str = "ibug68") -> str:
    return json.dumps({"order": order, "points": points})


def test_they_are_read_from_the_head_alone() -> None:
    whole = picture(told())
    found = read_landmarks(whole)
    assert found is not None
    assert (found.order, found.width, found.height) == ("ibug68", 60, 40)
    assert found.points == [(x, y) for x, y in POINTS]
    before_pixels = whole.index(b"IDAT")
    assert read_landmarks(whole[: before_pixels + 50]) == found
    # Where even the text is cut off, nothing is made up.
    assert read_landmarks(whole[: whole.index(KEY.encode()) + 200]) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "[" * 100_000,
        told(POINTS[:67]),
        told([*POINTS, [0, 0]]),
        told([*POINTS[:67], [0]]),
        told([*POINTS[:67], [True, False]]),
        told([*POINTS[:67], ["1", "2"]]),
        told([*POINTS[:67], [1e300, 0]]),
        told([*POINTS[:67], [float("nan"), 0]]),
        told(None),
        told(order="dlib72"),
    ],
)
def test_what_is_no_landmarks_is_none(text: str) -> None:
    assert read_landmarks(picture(text)) is None


def test_other_texts_and_other_files_have_none() -> None:
    for head in (picture(None), picture(told(), "voicesketch:other"), picture(told(), compressed=True)):
        assert read_landmarks(head) is None
    for head in (b"", b"\x89PNG\r\n\x1a\n", b"RIFF" + bytes(40), bytes(100)):
        assert read_landmarks(head) is None


def test_a_chunk_that_claims_to_be_huge_ends_the_search() -> None:
    whole = picture(told())
    at = whole.index(b"iTXt") - 4
    assert read_landmarks(whole[:at] + struct.pack(">I", 0xFFFFFFF0) + whole[at + 4 :]) is None
    late = b"IDAT" + bytes(8)
    pixels = struct.pack(">I", 8) + late + struct.pack(">I", zlib.crc32(late))
    assert read_landmarks(whole[:at] + pixels + whole[at:]) is None  # behind pixels nobody looks
