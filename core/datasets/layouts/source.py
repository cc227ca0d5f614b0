"""The files that a dataset is made of: their names, and what their endings say they are."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import PurePosixPath
from typing import Literal

from core.errors import InvalidRequest

Kind = Literal["recording", "picture", "array"]

LONGEST_PATH = 1000
RECORDINGS = frozenset(
    {".3gp", ".aac", ".ac3", ".aif", ".aifc", ".aiff", ".amr", ".au", ".avi", ".caf", ".flac", ".m4a", ".m4b"}
    | {".mka", ".mkv", ".mov", ".mp2", ".mp3", ".mp4", ".mpga", ".oga", ".ogg", ".opus", ".rf64", ".snd"}
    | {".spx", ".w64", ".wav", ".wave", ".webm", ".wma"}
)
PICTURES = frozenset(
    {".avif", ".bmp", ".gif", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg", ".pgm", ".png", ".pnm", ".ppm"}
    | {".tif", ".tiff", ".webp"}
)
ARRAYS = frozenset({".npy"})

_DRIVE = re.compile(r"^[A-Za-z]:")
_TOLD = 5


@dataclass(frozen=True)
class SourceFile:
    """A file that somebody has.

    Attributes:
        path: relative, with `/` between folders.
        source: SHA-256 of its content where it was uploaded.
        read: answers its content; only ever called for small tables. None where the content is not at hand.
        refused: code and message where the file could not be sent; it is left out with these.
    """

    path: str
    source: str | None = None
    read: Callable[[], bytes] | None = None
    refused: tuple[str, str] | None = None

    @cached_property
    def parts(self) -> tuple[str, ...]:
        return tuple(self.path.split("/"))

    @property
    def name(self) -> str:
        return self.parts[-1]

    @property
    def stem(self) -> str:
        return PurePosixPath(self.name).stem

    @property
    def ending(self) -> str:
        """With its dot, in small letters."""
        return PurePosixPath(self.name).suffix.lower()

    @property
    def kind(self) -> Kind | None:
        """What the ending says; None for what is neither recording, nor picture, nor array."""
        ending = self.ending
        if ending in RECORDINGS:
            return "recording"
        if ending in PICTURES:
            return "picture"
        return "array" if ending in ARRAYS else None


class Files:
    """All files of a source, in the order of their paths whatever order they were listed in.

    Raises:
        InvalidRequest: a path that leaves the folder, or that occurs twice; some of them are named.
    """

    def __init__(self, files: Sequence[SourceFile]) -> None:
        wrong = [f"{file.path[:200]!r} ({why})" for file in files if (why := why_unsafe(file.path))]
        if wrong:
            raise InvalidRequest(f"These are no paths inside a folder: {_some(wrong)}.")
        self._by_path = {file.path: file for file in files}
        if len(self._by_path) < len(files):
            paths = sorted(file.path for file in files)
            twice = sorted({a for a, b in pairwise(paths) if a == b})
            raise InvalidRequest(f"These paths occur more than once: {_some(list(map(repr, twice)))}.")
        self._sorted = sorted(files, key=lambda file: natural(file.path))

    def __iter__(self) -> Iterator[SourceFile]:
        return iter(self._sorted)

    def __len__(self) -> int:
        return len(self._sorted)

    def get(self, path: str) -> SourceFile | None:
        return self._by_path.get(path)

    @cached_property
    def media(self) -> list[SourceFile]:
        return [file for file in self._sorted if file.kind is not None]


def why_unsafe(path: str) -> str | None:
    """What is wrong with a relative path; None for a good one."""
    if not path or path.startswith("/") or _DRIVE.match(path):
        return "a path must be relative"
    if "\\" in path:
        return "`/` goes between folders, not `\\`"
    if len(path) > LONGEST_PATH:
        return f"longer than {LONGEST_PATH:,} characters"
    if any(ord(letter) < 32 or 0xD800 <= ord(letter) < 0xE000 for letter in path):
        return "letters that cannot be written"
    if any(part in ("", ".", "..") for part in path.split("/")):
        return "`.`, `..` and nothing are no names"
    return None


_DIGITS = re.compile(r"([0-9]+)")


def natural(path: str) -> tuple[tuple[str | int, ...], str]:
    """Sorts `2.wav` before `10.wav`; different paths never compare equal."""
    pieces = _DIGITS.split(path)
    # Texts are at even places and numbers at odd ones, so only equal kinds are ever compared.
    return tuple(int(piece) if place % 2 else piece for place, piece in enumerate(pieces)), path


def _some(words: Sequence[str]) -> str:
    more = f", and {len(words) - _TOLD:,} more" if len(words) > _TOLD else ""
    return ", ".join(words[:_TOLD]) + more
