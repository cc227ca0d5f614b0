"""What `PATH...` means: which files become lines of a job, in which order, and under which key.

Whoever names a file means it, whatever it is called. Whoever names a folder means the recordings in it: hidden
files and the notes, tables and pictures that lie beside recordings everywhere are left out, and counted so that
nobody wonders. Everything else is taken: whether it is audio is told by its content, later, and not by its name. For
a model that draws from pictures it is the other way round: of a folder only what is called a picture is taken.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from core.errors import InvalidRequest
from core.incoming.manifest import LONGEST_KEY, Line, read_manifest

MANIFEST_ENDINGS = frozenset({".csv", ".jsonl"})
SIDE_ENDINGS = frozenset(
    {".csv", ".db", ".html", ".htm", ".ini", ".ipynb", ".json", ".jsonl", ".lab", ".log", ".md", ".pdf"}
    | {".py", ".rst", ".rtf", ".sh", ".sql", ".sqlite", ".srt", ".tex", ".textgrid", ".toml", ".tsv", ".txt"}
    | {".vtt", ".xls", ".xlsx", ".xml", ".yaml", ".yml", ".doc", ".docx", ".cfg", ".m3u", ".m3u8", ".cue"}
    | {".bmp", ".gif", ".jpeg", ".jpg", ".png", ".svg", ".tiff", ".webp", ".npy", ".npz", ".pkl", ".pt"}
    | {".gz", ".tar", ".zip", ".7z", ".md5", ".sha256", ".bak", ".part", ".tmp"}
)
PICTURE_ENDINGS = frozenset(
    {".avif", ".bmp", ".gif", ".jpeg", ".jpg", ".jp2", ".png", ".ppm", ".tga", ".tif", ".tiff", ".webp"}
)
SIDE_NAMES = frozenset(
    {"authors", "changelog", "checksums", "copying", "license", "licence", "makefile", "readme"}
)


@dataclass
class Intake:
    """The lines of a job in their order, and what was seen and not taken."""

    lines: list[Line] = field(default_factory=list)
    side_files: int = 0
    hidden_files: int = 0

    @property
    def left_out(self) -> int:
        return self.side_files + self.hidden_files


def take_in_paths(paths: Sequence[Path], wanted: Literal["voice", "face"] = "voice") -> Intake:
    """Everything that the given folders, files and manifests stand for.

    Args:
        wanted: recordings of voices, or pictures of faces.

    Raises:
        InvalidRequest: a path that is not there, a folder that cannot be read, or nothing to draw at all.
        InvalidManifest: a manifest with bad lines; its message names every one of them.
    """
    intake = Intake()
    keys = Keys()
    for path in paths:
        _check(path)
        if path.is_dir():
            for file in _walk(path, intake, wanted):
                relative = file.relative_to(path)
                intake.lines.append(
                    Line(keys.take(_readable(relative.as_posix())), file, _readable(file.name))
                )
        elif path.suffix.lower() in MANIFEST_ENDINGS:
            for line in read_manifest(path):
                intake.lines.append(Line(keys.take(line.key), line.path, line.name))
        else:
            name = _readable(path.name)
            intake.lines.append(Line(keys.take(name), path, name))
    if not intake.lines:
        where = ", ".join(repr(_readable(str(path))) for path in paths) or "an empty list"
        what = "recording" if wanted == "voice" else "picture"
        seen = f" ({intake.left_out} files that are no {what}s were left out)" if intake.left_out else ""
        raise InvalidRequest(f"There is no {what} in {where}{seen}.")
    return intake


class Keys:
    """Makes keys differ: the second `a.wav` becomes `a.wav#2`."""

    def __init__(self) -> None:
        self._taken: set[str] = set()
        self._times: Counter[str] = Counter()

    def take(self, key: str) -> str:
        # A path may be longer than a key; its end says more than its beginning.
        key = key if len(key) <= LONGEST_KEY else "…" + key[1 - LONGEST_KEY :]
        candidate = key
        while candidate in self._taken:
            self._times[key] += 1
            number = f"#{self._times[key] + 1}"
            candidate = key[: LONGEST_KEY - len(number)] + number
        self._taken.add(candidate)
        return candidate


def _check(path: Path) -> None:
    shown = _readable(str(path))
    if shown.startswith(("s3:/", "http:/", "https:/")):
        address = shown.replace(":/", "://", 1)  # a path has no two slashes in a row
        raise InvalidRequest(
            f"{address}: only files and folders of this machine, and s3://bucket/folder, can be submitted."
        )
    try:
        path.stat()
    except FileNotFoundError:
        raise InvalidRequest(f"There is no file or folder {shown!r}.") from None
    except OSError as error:
        raise InvalidRequest(f"{shown!r} cannot be read: {_reason(error)}.") from error
    if not path.is_dir() and not path.is_file():
        raise InvalidRequest(f"{shown!r} is neither a file nor a folder.")


def _walk(folder: Path, intake: Intake, wanted: Literal["voice", "face"]) -> Iterator[Path]:
    """Files of a folder and of those in it, by name. Each real folder is entered once, so links cannot loop."""
    entered: set[tuple[int, int]] = set()

    def inside(here: Path) -> Iterator[tuple[Path, os.DirEntry[str]]]:
        try:
            status = here.stat()
            if (status.st_dev, status.st_ino) in entered:
                return iter(())
            entered.add((status.st_dev, status.st_ino))
            with os.scandir(here) as entries:
                found = sorted(entries, key=lambda entry: os.fsencode(entry.name))
        except OSError as error:
            raise InvalidRequest(
                f"The folder {_readable(str(here))!r} cannot be read: {_reason(error)}. "
                "Nothing was submitted."
            ) from error
        return ((here / entry.name, entry) for entry in found)

    # Not a function that calls itself: folders lie in folders deeper than Python's stack reaches.
    levels = [inside(folder)]
    while levels:
        path, entry = next(levels[-1], (None, None))
        if path is None or entry is None:
            levels.pop()
        elif entry.name.startswith("."):
            intake.hidden_files += 1
        elif _is_folder(entry):
            levels.append(inside(path))
        elif _is_side_file(entry, wanted):
            intake.side_files += 1
        else:
            yield path


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link in a circle, or onto something forbidden: tried, and told, as a recording
        return False


def is_side_name(given: str, wanted: Literal["voice", "face"] = "voice") -> bool:
    """Whether a file of a folder is left out for its name."""
    name = Path(given.lower())
    stem, ending = name.stem, name.suffix
    if wanted == "face":
        return ending not in PICTURE_ENDINGS
    return ending in SIDE_ENDINGS or (stem in SIDE_NAMES and not ending)


def _is_side_file(entry: os.DirEntry[str], wanted: Literal["voice", "face"]) -> bool:
    if is_side_name(entry.name, wanted):
        return True
    try:
        # A pipe or a socket would be waited for without end; a dangling link is a recording nobody can read.
        return not entry.is_file() and Path(entry.path).exists()
    except OSError:
        return False


def _readable(text: str) -> str:
    """Text without what no page can show: bytes that are not UTF-8 become a replacement character."""
    return os.fsencode(text).decode("utf-8", "replace")


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
