"""What the first bytes of a file say, read by ourselves.

libsndfile and FFmpeg both accept a WAV or AIFF file that was cut off while copying and quietly play what is left. The
sizes in the header tell; programs that write to a pipe put 0 or all ones there, which means that nobody knows.
"""

from __future__ import annotations

import struct
from typing import BinaryIO

MOST_CHUNKS = 1000  # a header with more is an attack on our patience
STREAMED_SIZES = range(0x7FFF_0000, 0x1_0000_0000)  # 0xFFFFFFFF (FFmpeg), 0x7FFFF000 and its like (SoX)

_MAGIC = (
    b"RIFF",
    b"RIFX",
    b"RF64",
    b"FORM",
    b"fLaC",
    b"OggS",
    b"ID3",
    b"\x1a\x45\xdf\xa3",
    b"#!AMR",
    b"caff",
    b".snd",
)


def missing_bytes(stream: BinaryIO, size: int) -> int:
    """How many bytes of sound a WAV or AIFF header promises beyond the end of the file; 0 for every other format.

    Args:
        stream: the file, at its start.
        size: its length in bytes.
    """
    head = stream.read(12)
    if len(head) < 12:
        return 0
    if head[:4] in (b"RIFF", b"RIFX") and head[8:] == b"WAVE":
        order, sound = ("<" if head[:4] == b"RIFF" else ">"), b"data"
    elif head[:4] == b"FORM" and head[8:] in (b"AIFF", b"AIFC"):
        order, sound = ">", b"SSND"
    else:
        return 0
    at = 12
    for _ in range(MOST_CHUNKS):
        stream.seek(at)
        chunk = stream.read(8)
        if len(chunk) < 8:
            return 0
        name = chunk[:4]
        (length,) = struct.unpack(order + "I", chunk[4:])
        if name == sound:
            streamed = length == 0 or length in STREAMED_SIZES
            return 0 if streamed else max(0, at + 8 + length - size)
        at += 8 + length + length % 2
        if at >= size:
            return 0
    return 0


def mp3_length_is_written(stream: BinaryIO) -> bool:
    """Whether the first MPEG frame says how many follow (a Xing, Info or VBRI tag), from the start of the file."""
    head = stream.read(10)
    if head[:3] == b"ID3" and len(head) == 10:
        # Four bytes of seven bits each, so that no length looks like the start of a frame.
        stream.seek(
            10 + sum((byte & 0x7F) << shift for byte, shift in zip(head[6:], (21, 14, 7, 0), strict=True))
        )
        head = b""
    frame = head + stream.read(512)
    return any(tag in frame for tag in (b"Xing", b"Info", b"VBRI"))


def looks_like_media(head: bytes) -> bool:
    """Whether the first bytes are those of a sound or video format, so that an unreadable file is a damaged one."""
    if head.startswith(_MAGIC) or head[4:8] == b"ftyp":
        return True
    return (
        len(head) > 1 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0 and head[1] != 0xFE
    )  # MPEG audio frames
