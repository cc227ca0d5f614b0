"""The file of a backup: a TAR archive, written and read from one end to the other, however large it is.

In it, in this order: `voicesketch-backup.json` (what it is), `objects/KEY` (each object of the store), `tables/TABLE/N`
(rows, as lines of JSON, packed), `contents/N` (the SHA-256 of each object that the tables name, packed) and `end.json`
(counts, and one SHA-256 over the tables and the contents). A file that broke off has no `end.json`.

Python's `tarfile` keeps what it knows of every member for as long as a file is open, a kilobyte each; a place with a
million faces has three million objects. So headers are written here, and forgotten while reading.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import tarfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from core.errors import InvalidRequest

HEAD, END = "voicesketch-backup.json", "end.json"
OBJECTS, TABLES, CONTENTS = "objects/", "tables/", "contents/"
FORMAT = 1
_BLOCK = tarfile.BLOCKSIZE
_READ_AT_ONCE = 1 << 20
_MEDIA_TYPE = "VOICESKETCH.media_type"
# Of rows and contents; more than this in one member is nothing that we wrote.
_LARGEST_LINES_BYTES = 256 * 2**20


class BackupWriter:
    """Writes a backup into a file, which need not be seekable.

    Attributes:
        bytes: written so far.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._digest = hashlib.sha256()
        self.bytes = 0

    def head(self, told: dict[str, Any]) -> None:
        self._member(HEAD, _json(told))

    def object(self, key: str, size: int, media_type: str, pieces: Iterable[bytes]) -> str:
        """Writes an object and answers its SHA-256.

        Raises:
            InvalidRequest: there is more or less of it than `size`; the file is good for nothing then.
        """
        digest, written = hashlib.sha256(), 0
        self._write_header(OBJECTS + key, size, {_MEDIA_TYPE: media_type})
        for piece in pieces:
            digest.update(piece)
            written += len(piece)
            self._write(piece)
        if written != size:
            raise InvalidRequest(
                f"The object {key} has {written} bytes and not {size}; make the backup again."
            )
        self._pad(size)
        return digest.hexdigest()

    def lines(self, folder: str, number: int, rows: Iterable[Any]) -> None:
        """Writes rows of a table, or of the contents."""
        packed = gzip.compress(b"".join(_json(row) + b"\n" for row in rows), 4, mtime=0)
        self._digest.update(packed)
        self._member(f"{folder}{number:06d}", packed)

    def end(self, told: dict[str, Any]) -> None:
        self._member(END, _json({**told, "sha256": self._digest.hexdigest()}))
        self._write(bytes(_BLOCK * 2))

    def _member(self, name: str, content: bytes) -> None:
        self._write_header(name, len(content), {})
        self._write(content)
        self._pad(len(content))

    def _write_header(self, name: str, size: int, more: dict[str, str]) -> None:
        member = tarfile.TarInfo(name)
        member.size, member.mode, member.pax_headers = size, 0o600, more
        self._write(member.tobuf(tarfile.PAX_FORMAT))

    def _pad(self, size: int) -> None:
        self._write(bytes(-size % _BLOCK))

    def _write(self, piece: bytes) -> None:
        self._file.write(piece)
        self.bytes += len(piece)


@contextmanager
def new_file(out: Path) -> Iterator[tuple[Path, IO[bytes]]]:
    """A file of that name, or of a name of today in that folder; nobody else can read it, and it is there when whole.

    Raises:
        InvalidRequest: it cannot be written, or is there already.
    """
    path = out / f"voicesketch-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.tar" if out.is_dir() else out
    partial = path.with_name(f".{path.name}.partial")
    try:
        if path.exists():
            raise InvalidRequest(f"{path} is there already; backups are not written over.")
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            yield path, file
            file.flush()
            os.fsync(file.fileno())
        partial.rename(path)
    except OSError as error:
        raise InvalidRequest(f"{path} cannot be written: {error.strerror or error}.") from error
    finally:
        partial.unlink(missing_ok=True)


@dataclass(frozen=True)
class Member:
    """One part of a backup, to be read before the next one is asked for."""

    name: str
    size: int
    media_type: str
    file: IO[bytes]

    @property
    def object_key(self) -> str | None:
        return self.name.removeprefix(OBJECTS) if self.name.startswith(OBJECTS) else None

    @property
    def is_lines(self) -> bool:
        return self.name.startswith((TABLES, CONTENTS))

    def pieces(self) -> Iterator[bytes]:
        while piece := self.file.read(_READ_AT_ONCE):
            yield piece


def read_members(file: IO[bytes]) -> Iterator[Member]:
    """The parts of a backup in their order.

    Raises:
        InvalidRequest: this is none, or it broke off, or it is damaged.
    """
    try:
        with tarfile.open(fileobj=file, mode="r:") as archive:
            while (member := archive.next()) is not None:
                archive.members.clear()  # type: ignore[attr-defined]  # else each of millions is remembered
                content = archive.extractfile(member) if member.isfile() else None
                if content is None:
                    raise InvalidRequest(f"This is no backup of voicesketch: {member.name!r} is no file.")
                media_type = member.pax_headers.get(_MEDIA_TYPE, "")
                yield Member(member.name, member.size, media_type, io.BufferedReader(_Whole(content, member)))
    except (tarfile.TarError, EOFError) as error:
        raise InvalidRequest(f"This is no backup of voicesketch, or it broke off: {error}.") from error


def read_json(member: Member) -> Any:
    try:
        return json.loads(member.file.read())
    except ValueError as error:
        raise InvalidRequest(f"This backup is damaged: {member.name} cannot be read.") from error


def unpack_lines(packed: bytes, name: str) -> list[Any]:
    """Rows of one packed member.

    Raises:
        InvalidRequest: it is damaged.
    """
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(packed)) as file:
            content = file.read(_LARGEST_LINES_BYTES + 1)
        if len(content) > _LARGEST_LINES_BYTES:
            raise InvalidRequest(f"This backup is damaged: {name} is larger than anything we write.")
        return [json.loads(line) for line in content.splitlines()]
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise InvalidRequest(f"This backup is damaged: {name} cannot be read.") from error


class _Whole(io.RawIOBase):
    """A member's content, which says so when the archive ends before it does."""

    def __init__(self, file: IO[bytes], member: tarfile.TarInfo) -> None:
        self._file, self._left, self._name = file, member.size, member.name

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        try:
            content = self._file.read(min(len(buffer), self._left))
        except tarfile.TarError as error:
            raise EOFError(f"{self._name} is not whole") from error
        if not content and self._left:
            raise EOFError(f"{self._name} is not whole")
        self._left -= len(content)
        buffer[: len(content)] = content
        return len(content)


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode("ascii")
