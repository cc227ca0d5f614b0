"""Folders as a list of files: hidden ones left out, links followed once, names that cannot be written told."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from core.datasets.layouts.source import SourceFile, why_unsafe
from core.datasets.layouts.tables import TABLES
from core.datasets.plan import LeftOut
from core.errors import InvalidRequest


@dataclass
class Gathered:
    """Files of this machine that a dataset is to be made of.

    Attributes:
        paths: where each file lies, by its path in the dataset.
        left_out: files whose names cannot be used.
        manifest: the table that was named instead of a folder.
    """

    files: list[SourceFile] = field(default_factory=list)
    paths: dict[str, Path] = field(default_factory=dict)
    left_out: list[LeftOut] = field(default_factory=list)
    manifest: str | None = None


def gather(paths: Sequence[Path]) -> Gathered:
    """The files of one folder, of several (each then lies under its own name), or around a manifest.

    Raises:
        InvalidRequest: a folder that is not there, or cannot be read.
    """
    gathered = Gathered()
    if len(paths) == 1 and paths[0].is_file():
        (path,) = paths
        if path.suffix.lower() not in TABLES:
            endings = ", ".join(sorted(TABLES))
            raise InvalidRequest(f"{_readable(str(path))!r} is neither a folder nor a manifest ({endings}).")
        gathered.manifest = path.name
        _enter(gathered, path.parent, "")
        return gathered
    for path in paths:
        if path.is_file():
            raise InvalidRequest("Give folders, or a single manifest.")
        if not path.is_dir():
            raise InvalidRequest(f"There is no folder {_readable(str(path))!r}.")
        _enter(gathered, path, "" if len(paths) == 1 else f"{path.resolve().name}/")
    return gathered


def _enter(gathered: Gathered, folder: Path, prefix: str) -> None:
    for relative, path in _walk(folder, prefix, set()):
        why = why_unsafe(relative) or (
            "another folder has one of this name" if relative in gathered.paths else None
        )
        if why:
            message = f"Its name cannot be used ({why}): rename it."
            gathered.left_out.append(LeftOut(_readable(relative), "unreadable_file", message))
        else:
            gathered.files.append(SourceFile(relative, read=path.read_bytes))
            gathered.paths[relative] = path


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
