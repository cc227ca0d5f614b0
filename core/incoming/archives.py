"""A ZIP of recordings, taken apart with mistrust: each file in it becomes a line of a job, or says why it cannot.

Nothing is ever written under a name that an archive gives, so a name can at most be told. What an archive says of
sizes is checked before anything is unpacked, and again, by counting, while it is.
"""

from __future__ import annotations

import stat
import zipfile
import zlib
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import IO

from core.errors import InvalidRequest, TooLarge
from core.incoming.recordings import take_in
from core.ledger.database import Database
from core.specs import NewItem
from core.store import Store
from core.submitting.intake import MANIFEST_ENDINGS, PICTURE_ENDINGS, SIDE_ENDINGS, SIDE_NAMES, Keys

MOST_ARCHIVE_BYTES = 4 * 2**30
MOST_UNPACKED_BYTES = 32 * 2**30
# Silence packs well, but not a whole archive of it; below the floor a bomb does no harm.
MOST_TIMES_LARGER = 100
_HARMLESS_BYTES = 256 * 2**20
_NESTED = frozenset({".zip", ".7z", ".rar", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".zst"})
_ENCRYPTED = 0x1


@dataclass
class Unpacked:
    """The lines of a job that an archive makes, in its order, and how many files in it are no recordings."""

    items: list[NewItem] = field(default_factory=list)
    left_out: int = 0


def unpack(
    database: Database, store: Store, file: IO[bytes], *, owner_id: str, max_bytes: int, max_items: int
) -> Unpacked:
    """Takes in every recording of an archive.

    Args:
        file: seekable.
        max_bytes: of one recording in it.

    Raises:
        InvalidRequest: it is no ZIP, holds nothing to draw from, or pretends to be what it is not.
        TooLarge: unpacked it would be larger, or more files, than is taken.
    """
    try:
        archive = zipfile.ZipFile(file)
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError, EOFError) as error:
        raise InvalidRequest("This file is no ZIP archive, or it is damaged. Make it again.") from error
    with archive:
        # Not by `is_dir`, which breaks on an empty name.
        entries = [entry for entry in archive.infolist() if not entry.filename.endswith("/")]
        _check_whole(entries, file.seek(0, 2), max_items)
        done = Unpacked()
        keys = Keys()
        for entry in entries:
            if _is_aside(entry.filename):
                done.left_out += 1
                continue
            name = _readable(entry.filename)
            key = keys.take(name)
            try:
                _check_entry(entry, max_bytes)
                with archive.open(entry) as source:
                    recording = take_in(database, store, source, owner_id=owner_id, max_bytes=max_bytes)
            except _Bad as bad:
                done.items.append(_failed(key, name, bad.code, bad.message))
            except TooLarge as error:
                done.items.append(_failed(key, name, error.code, error.message))
            except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError, ValueError):
                message = (
                    "It could not be unpacked: the archive is damaged here, or packed in an unusual way."
                )
                done.items.append(_failed(key, name, "unreadable_file", message))
            else:
                done.items.append(
                    NewItem(
                        key=key,
                        name=name[-1000:],
                        recording=recording.sha256,
                        error_code=None,
                        error_message=None,
                    )
                )
    if not done.items:
        raise InvalidRequest(f"There is no recording in this archive ({done.left_out} other files).")
    return done


class _Bad(Exception):
    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


def _check_whole(entries: list[zipfile.ZipInfo], packed: int, max_items: int) -> None:
    if len(entries) > max_items:
        raise TooLarge(f"This archive holds {len(entries):,} files; {max_items:,} are the most. Split it.")
    unpacked = sum(entry.file_size for entry in entries)
    if unpacked > MOST_UNPACKED_BYTES:
        raise TooLarge(
            f"Unpacked, this archive would be {unpacked / 2**30:,.1f} GiB; {MOST_UNPACKED_BYTES / 2**30:,.0f} GiB "
            "are the most. Split it."
        )
    if unpacked > max(_HARMLESS_BYTES, packed * MOST_TIMES_LARGER):
        raise InvalidRequest(
            f"Unpacked, this archive would be {unpacked / max(1, packed):,.0f} times its size, as no recordings are."
        )
    if sum(entry.compress_size for entry in entries) > packed:
        raise InvalidRequest("Files in this archive lie over one another. Make it again.")


def _check_entry(entry: zipfile.ZipInfo, max_bytes: int) -> None:
    # Some systems write paths with the wrong stroke, and mean folders by it.
    path = PurePosixPath(entry.orig_filename.replace("\\", "/"))
    parts = path.parts or ("..",)  # "." and nothing at all mean a folder, and no file in it
    if path.is_absolute() or ".." in parts or "\0" in entry.orig_filename or ":" in parts[0][1:2]:
        raise _Bad("bad_name", "Its name in the archive leads out of the archive.")
    if stat.S_ISLNK(entry.external_attr >> 16):
        raise _Bad("bad_name", "It is a link and not a file.")
    if entry.flag_bits & _ENCRYPTED:
        raise _Bad("encrypted", "It is locked with a password. Pack it without one.")
    if path.suffix.lower() in _NESTED:
        raise _Bad("nested_archive", "It is an archive in an archive. Send it by itself.")
    if entry.file_size > max_bytes:
        raise TooLarge(
            f"This recording is larger than {max_bytes / 2**20:,.0f} MiB. Send a shorter piece of it."
        )


def _is_aside(name: str) -> bool:
    path = PurePosixPath(name.replace("\\", "/").lower())
    if any(part == "__macosx" or (part.startswith(".") and part != "..") for part in path.parts):
        return True
    ending = path.suffix
    aside = (SIDE_ENDINGS | MANIFEST_ENDINGS) - PICTURE_ENDINGS - _NESTED
    return ending in aside or (path.stem in SIDE_NAMES and not ending)


def _readable(name: str) -> str:
    return name.encode("utf-8", "replace").decode().replace("\0", "�")


def _failed(key: str, name: str, code: str, message: str) -> NewItem:
    return NewItem(key=key, name=name[-1000:], recording=None, error_code=code, error_message=message)
