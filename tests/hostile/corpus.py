"""Thousands of broken, lying and malicious files, made of sound ones by a seeded random number generator.

The same number gives the same file, on the same versions of the libraries that write the sound ones; a file that did
harm is named by its kind and its number, and `hostile_file` makes it again.
"""

from __future__ import annotations

import random
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from tests.hostile.seeds import pictures, recordings

Kind = Literal["voice", "face"]
Change = Callable[[bytes, random.Random], bytes]

_EXTREMES = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)
_HEADER = 512  # bytes at the beginning, where most of the lies are told
_BOXES_OF_BOXES = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"udta", b"meta", b"iprp", b"ipco")


@dataclass(frozen=True)
class HostileFile:
    """A file of the corpus.

    Attributes:
        name: says how it was made; ends in whatever extension.
        kind: as what it is sent.
    """

    name: str
    kind: Kind
    content: bytes


def hostile_files(count: int, first: int = 0) -> Iterator[HostileFile]:
    """Files by their numbers, from `first` on."""
    for number in range(first, first + count):
        yield hostile_file(number)


def hostile_file(number: int) -> HostileFile:
    """The file of that number. Two of three are recordings; one of fifty is sent as what it is not."""
    random_ = random.Random(number)
    kind: Kind = "face" if number % 3 == 2 else "voice"
    sent_as: Kind = kind
    if random_.random() < 0.02:
        sent_as = "voice" if kind == "face" else "face"
    seeds = recordings() if kind == "voice" else pictures()
    name = random_.choice(sorted(seeds))
    content, done = seeds[name], []
    for _ in range(random_.choice((1, 1, 1, 2, 3))):
        change = random_.choice(CHANGES)
        content = change(content, random_)
        done.append(change.__name__)
    extension = random_.choice(("wav", "mp3", "m4a", "flac", "png", "jpg", "gif", "exe", "wav.png"))
    return HostileFile(f"{number}-{name}-{'-'.join(done)}.{extension}", sent_as, content)


def few_bits(content: bytes, random_: random.Random) -> bytes:
    """A few bits flip anywhere."""
    return _flipped(content, random_, 0, len(content), random_.randint(1, 8))


def many_bits(content: bytes, random_: random.Random) -> bytes:
    """Bits flip all over the body, which is what decoders see."""
    return _flipped(content, random_, min(64, len(content)), len(content), len(content) // 50 + 1)


def header_bits(content: bytes, random_: random.Random) -> bytes:
    """Bits flip where sizes, rates and counts stand."""
    return _flipped(content, random_, 0, _HEADER, random_.randint(1, 12))


def cut_off(content: bytes, random_: random.Random) -> bytes:
    """It ends anywhere, often in its header."""
    most = len(content) if random_.random() < 0.5 else min(len(content), _HEADER)
    return content[: random_.randint(0, most)]


def beheaded(content: bytes, random_: random.Random) -> bytes:
    """It begins anywhere."""
    return content[random_.randint(1, max(1, min(len(content), _HEADER))) :]


def emptied(content: bytes, random_: random.Random) -> bytes:
    """A stretch is all zeros or all ones, as on a bad disk."""
    begin, end = _stretch(content, random_)
    return content[:begin] + random_.choice((b"\0", b"\xff")) * (end - begin) + content[end:]


def repeated(content: bytes, random_: random.Random) -> bytes:
    """A stretch comes again and again."""
    begin, end = _stretch(content, random_)
    return content[:end] + content[begin:end] * min(200, 100_000 // max(1, end - begin)) + content[end:]


def removed(content: bytes, random_: random.Random) -> bytes:
    """A stretch is missing."""
    begin, end = _stretch(content, random_)
    return content[:begin] + content[end:]


def swapped(content: bytes, random_: random.Random) -> bytes:
    """Two stretches have changed places."""
    at = sorted(random_.randint(0, len(content)) for _ in range(4))
    a, b, c, d = at
    return content[:a] + content[c:d] + content[b:c] + content[a:b] + content[d:]


def spliced(content: bytes, random_: random.Random) -> bytes:
    """It goes on as another file, of the same kind or not."""
    other = random_.choice([*recordings().values(), *pictures().values()])
    return content[: random_.randint(0, len(content))] + other[random_.randint(0, len(other)) :]


def extreme_numbers(content: bytes, random_: random.Random) -> bytes:
    """Numbers of its header are as large, or as small, as they go."""
    changed = bytearray(content)
    for _ in range(random_.randint(1, 6)):
        form = random_.choice(("<H", ">H", "<I", ">I", "<Q", ">Q", "B"))
        size = struct.calcsize(form)
        if len(changed) < size:
            break
        at = random_.randint(0, min(len(changed), _HEADER) - size) if len(changed) > size else 0
        value = random_.choice(_EXTREMES) & ((1 << 8 * size) - 1)
        changed[at : at + size] = struct.pack(form, value)
    return bytes(changed)


def noise_within(content: bytes, random_: random.Random) -> bytes:
    """A stretch is replaced by noise of another length."""
    begin, end = _stretch(content, random_)
    return content[:begin] + random_.randbytes(random_.randint(0, 2_000)) + content[end:]


def lying_chunks(content: bytes, random_: random.Random) -> bytes:
    """The file's own parts, RIFF chunks, PNG chunks with right checksums, or boxes of an MP4, come in another order,
    twice, not at all, within each other, or with another size.
    """
    if content[:4] in (b"RIFF", b"RIFX", b"FORM", b"RF64"):
        parts = _iff_chunks(content)
        head = content[:12]
    elif content[:4] == b"\x89PNG":
        parts = _png_chunks(content)
        head = content[:8]
    elif content[4:8] == b"ftyp":
        parts = _boxes(content)
        head = b""
    else:
        return extreme_numbers(content, random_)
    if not parts:
        return cut_off(content, random_)
    at, to = random_.randrange(len(parts)), random_.randrange(len(parts))
    deed = random_.randrange(6)
    if deed == 0:
        parts[at], parts[to] = parts[to], parts[at]
    elif deed == 1:
        parts[at:at] = [parts[to]] * random_.choice((1, 2, 300))
    elif deed == 2:
        del parts[at]
    elif deed == 3:
        name, body = parts[at]
        parts[at] = name, body[: random_.randint(0, len(body))]
    elif deed == 4:
        name, body = parts[at]
        changed = extreme_numbers(body, random_)
        parts[at] = name, changed
    else:
        name, body = parts[at]
        for _ in range(random_.choice((1, 50))):
            body = name + body if head else struct.pack(">I", 8 + len(body)) + name + body
        parts[at] = name, body
    return head + _joined(parts, content)


CHANGES: tuple[Change, ...] = (
    few_bits,
    many_bits,
    header_bits,
    header_bits,
    cut_off,
    beheaded,
    emptied,
    repeated,
    removed,
    swapped,
    spliced,
    extreme_numbers,
    extreme_numbers,
    noise_within,
    lying_chunks,
    lying_chunks,
)


def _flipped(content: bytes, random_: random.Random, begin: int, end: int, count: int) -> bytes:
    changed = bytearray(content)
    end = min(end, len(changed))
    for _ in range(count if end > begin else 0):
        changed[random_.randrange(begin, end)] ^= 1 << random_.randrange(8)
    return bytes(changed)


def _stretch(content: bytes, random_: random.Random) -> tuple[int, int]:
    longest = random_.choice((4, 64, 1_000, len(content)))
    begin = random_.randint(0, len(content))
    return begin, min(len(content), begin + random_.randint(1, max(1, longest)))


def _iff_chunks(content: bytes) -> list[tuple[bytes, bytes]]:
    order = ">" if content[:4] in (b"FORM", b"RIFX") else "<"
    parts, at = [], 12
    while at + 8 <= len(content):
        (size,) = struct.unpack(order + "I", content[at + 4 : at + 8])
        size = min(size, len(content) - at - 8)
        parts.append((content[at : at + 4], content[at + 8 : at + 8 + size]))
        at += 8 + size + size % 2
    return parts


def _png_chunks(content: bytes) -> list[tuple[bytes, bytes]]:
    parts, at = [], 8
    while at + 12 <= len(content):
        (size,) = struct.unpack(">I", content[at : at + 4])
        size = min(size, len(content) - at - 12)
        parts.append((content[at + 4 : at + 8], content[at + 8 : at + 8 + size]))
        at += 12 + size
    return parts


def _boxes(content: bytes) -> list[tuple[bytes, bytes]]:
    parts, at = [], 0
    while at + 8 <= len(content):
        (size,) = struct.unpack(">I", content[at : at + 4])
        size = len(content) - at if size < 8 else min(size, len(content) - at)
        name, body = content[at + 4 : at + 8], content[at + 8 : at + size]
        parts.append((name, body))
        at += size
    return parts


def _joined(parts: list[tuple[bytes, bytes]], content: bytes) -> bytes:
    if content[:4] == b"\x89PNG":
        return b"".join(
            struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
            for name, body in parts
        )
    if content[4:8] == b"ftyp":
        return b"".join(struct.pack(">I", 8 + len(body)) + name + body for name, body in parts)
    order = ">" if content[:4] in (b"FORM", b"RIFX") else "<"
    return b"".join(
        name + struct.pack(order + "I", len(body)) + body + b"\0" * (len(body) % 2) for name, body in parts
    )
