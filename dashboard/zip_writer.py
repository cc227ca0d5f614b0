"""A ZIP archive written piece by piece, of entries that are stored as they are: pictures are compressed already.

What an archive has to say about all its entries at its end waits in a temporary file, so that memory does not grow
with their number. Sizes and sums are known before an entry begins, so each stands in the entry's own header, and any
program can read the archive from its beginning. ZIP64 is used where the old fields are too small, and only there.
"""

from __future__ import annotations

import struct
import tempfile
import time
import zlib
from collections.abc import Iterator
from typing import IO

_FLAGS = 0x800  # names are UTF-8
_STORED = 0
_UNIX, _PLAIN_FILE = 3, 0o100644 << 16
_OLD, _ZIP64 = 20, 45  # versions of the format that a reader has to know
_MOST_16, _MOST_32 = 0xFFFF, 0xFFFFFFFF
_READ_AT_ONCE = 256 * 1024
_IN_MEMORY = 2**20


class ZipWriter:
    """Answers the bytes of an archive; the caller sends or writes them all, in order.

    Args:
        begin: how many bytes stand before the archive in whatever it becomes a part of.
    """

    def __init__(self, begin: int = 0) -> None:
        self._offset = begin
        self._count = 0
        # Closed by `close`, also where the archive is never finished.
        self._directory: IO[bytes] = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115
        year, month, day, hour, minute, second = time.localtime()[:6]
        self._date = (max(year, 1980) - 1980) << 9 | month << 5 | day
        self._time = hour << 11 | minute << 5 | second // 2

    def entry(self, name: str, content: bytes) -> bytes:
        """A whole entry at once."""
        head = self._enter(name, len(content), zlib.crc32(content))
        return head + content

    def entry_of(self, name: str, file: IO[bytes]) -> Iterator[bytes]:
        """An entry of what a file holds from its beginning; read twice, since its sum comes first."""
        size = total = 0
        file.seek(0)
        while piece := file.read(_READ_AT_ONCE):
            size, total = size + len(piece), zlib.crc32(piece, total)
        yield self._enter(name, size, total)
        file.seek(0)
        while piece := file.read(_READ_AT_ONCE):
            yield piece

    def close(self) -> None:
        """Lets go of the directory; an archive that was not ended stays without one."""
        self._directory.close()

    def end(self) -> Iterator[bytes]:
        """What closes the archive; nothing can be entered afterwards."""
        begin, size = self._offset, self._directory.tell()
        self._directory.seek(0)
        while piece := self._directory.read(_READ_AT_ONCE):
            yield piece
        self._directory.close()
        if self._count > _MOST_16 or begin + size > _MOST_32:
            yield struct.pack(
                "<4sQHHIIQQQQ",
                b"PK\x06\x06",
                44,
                _ZIP64,
                _ZIP64,
                0,
                0,
                self._count,
                self._count,
                size,
                begin,
            )
            yield struct.pack("<4sIQI", b"PK\x06\x07", 0, begin + size, 1)
        count = min(self._count, _MOST_16)
        last = (min(size, _MOST_32), min(begin, _MOST_32))
        yield struct.pack("<4sHHHHIIH", b"PK\x05\x06", 0, 0, count, count, *last, 0)

    def _enter(self, name: str, size: int, total: int) -> bytes:
        """Notes an entry for the directory; answers its header."""
        written = name.encode()
        is_large = size >= _MOST_32
        sizes = (_MOST_32, _MOST_32) if is_large else (size, size)
        extra = struct.pack("<HHQQ", 1, 16, size, size) if is_large else b""
        common = (_FLAGS, _STORED, self._time, self._date, total, *sizes, len(written))
        version = _ZIP64 if is_large else _OLD
        header = struct.pack("<4sHHHHHIIIHH", b"PK\x03\x04", version, *common, len(extra)) + written + extra
        is_far = self._offset >= _MOST_32
        if is_large or is_far:
            large = (size, size) if is_large else ()
            fields = (*large, self._offset) if is_far else large
            extra, version = struct.pack(f"<HH{len(fields)}Q", 1, 8 * len(fields), *fields), _ZIP64
        self._directory.write(
            struct.pack(
                "<4sBBHHHHHIIIHHHHHII",
                b"PK\x01\x02",
                version,
                _UNIX,
                version,
                *common,
                len(extra),
                0,
                0,
                0,
                _PLAIN_FILE,
                min(self._offset, _MOST_32),
            )
            + written
            + extra
        )
        self._offset += len(header) + size
        self._count += 1
        return header
