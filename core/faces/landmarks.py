"""The landmarks of a drawn face, read from the beginning of its PNG: the model that drew it wrote them there.

They are in the picture and in no table, so that they go where the face goes: into downloads, into backups, and away.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

KEY = "voicesketch:landmarks"
HEAD_BYTES = 32 * 1024  # what a face says of itself stands before its pixels, in some four kilobytes
ORDER, POINTS = "ibug68", 68
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_FARTHEST = 100_000.0  # pixels; whatever lies farther out is no place in a picture


@dataclass(frozen=True)
class FaceLandmarks:
    """Where a drawn face has its parts.

    Attributes:
        order: which point is which; `ibug68` are the 68 points of iBUG, as in 300-W.
        points: x, y in pixels of the picture, whole numbers being the middles of pixels, from the upper left.
        width, height: of the picture in pixels.
    """

    order: str
    points: list[tuple[float, float]]
    width: int
    height: int


def read_landmarks(head: bytes) -> FaceLandmarks | None:
    """Args:
        head: the first `HEAD_BYTES` of a PNG, or all of it.

    Returns:
        None where it has none that can be used.
    """
    size: tuple[int, int] | None = None
    for kind, data in _chunks(head):
        if kind == b"IHDR" and len(data) >= 8:
            size = struct.unpack(">II", data[:8])
        elif kind == b"iTXt" and size is not None and (text := _text(data)) is not None:
            points = _points(text)
            return FaceLandmarks(ORDER, points, *size) if points is not None else None
        elif kind == b"IDAT":
            return None
    return None


def _chunks(head: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Kinds and contents of the chunks that are there whole."""
    if not head.startswith(_SIGNATURE):
        return
    at = len(_SIGNATURE)
    while at + 12 <= len(head):
        (length,) = struct.unpack_from(">I", head, at)
        after = at + 12 + length
        if after > len(head):
            # Pixels are seldom there whole, and that they begin is all there is to know.
            yield head[at + 4 : at + 8], b""
            return
        yield head[at + 4 : at + 8], head[at + 8 : at + 8 + length]
        at = after


def _text(data: bytes) -> bytes | None:
    """What an international text chunk says, if it is ours; ours are never compressed."""
    keyword, _, rest = data.partition(b"\0")
    if keyword != KEY.encode() or rest[:1] != b"\0":
        return None
    _language, _, rest = rest[2:].partition(b"\0")
    _translated, _, text = rest.partition(b"\0")
    return text


def _points(text: bytes) -> list[tuple[float, float]] | None:
    try:
        told: Any = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(told, dict) or told.get("order") != ORDER or not isinstance(told.get("points"), list):
        return None
    points = [
        (float(point[0]), float(point[1]))
        for point in told["points"]
        if isinstance(point, list) and len(point) == 2 and all(_is_place(one) for one in point)
    ]
    return points if len(points) == POINTS == len(told["points"]) else None


def _is_place(value: object) -> bool:
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and math.isfinite(value)
        and abs(value) < _FARTHEST
    )
