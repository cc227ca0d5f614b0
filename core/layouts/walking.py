"""A folder as a list of files: hidden ones left out, links followed once, names that cannot be written told."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from core.dataset_plan import LeftOut
from core.errors import InvalidRequest
from core.layouts.source import SourceFile, why_unsafe
from core.layouts.tables import TABLES


def walk_folder(path: Path) -> tuple[list[SourceFile], list[LeftOut], str | None]:
    """The files of a folder; those that cannot be named; and, for the path of a manifest, its name in its folder.

    Raises:
        InvalidRequest: there is no such folder, or it cannot be read.
    """
    shown = _readable(str(path))
    if path.is_file():
        if path.suffix.lower() not in TABLES:
            raise InvalidRequest(
                f"{shown!r} is neither a folder nor a manifest ({', '.join(sorted(TABLES))})."
            )
        root, only = path.parent, path.name
    elif path.is_dir():
        root, only = path, None
    else:
        raise InvalidRequest(f"There is no folder {shown!r}.")
    files: list[SourceFile] = []
    left_out: list[LeftOut] = []
    for relative, file in _walk(root, "", set()):
        if why := why_unsafe(relative):
            message = f"Its name cannot be used ({why}): rename it."
            left_out.append(LeftOut(_readable(relative), "unreadable_file", message))
        else:
            files.append(SourceFile(relative, read=file.read_bytes))
    return files, left_out, only


def _walk(folder: Path, prefix: str, entered: set[tuple[int, int]]) -> Iterator[tuple[str, Path]]:
    """Relative and real paths. Each real folder is entered once, so links cannot loop."""
    try:
        status = folder.stat()
        if (status.st_dev, status.st_ino) in entered:
            return
        entered.add((status.st_dev, status.st_ino))
        with os.scandir(folder) as entries:
            found = sorted(entries, key=lambda entry: os.fsencode(entry.name))
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise InvalidRequest(f"The folder {_readable(str(folder))!r} cannot be read: {reason}.") from error
    for entry in found:
        if entry.name.startswith("."):
            continue
        path = folder / entry.name
        try:
            is_folder, is_special = entry.is_dir(), not entry.is_file() and path.exists()
        except OSError:  # a link in a circle, or onto something forbidden: told when it is read
            is_folder = is_special = False
        if is_folder:
            yield from _walk(path, f"{prefix}{entry.name}/", entered)
        elif not is_special:  # a pipe or a socket would be waited for without end
            yield f"{prefix}{entry.name}", path


def _readable(text: str) -> str:
    """Text without what no page can show: bytes that are not UTF-8 become a replacement character."""
    return os.fsencode(text).decode("utf-8", "replace")
