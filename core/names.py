"""File names for what people download: safe on every system, near to what they gave, and never the same twice."""

from __future__ import annotations

import re
import unicodedata

_UNSAFE = re.compile(r'[\x00-\x1f\x7f"*/:<>?\\|]+')
_RESERVED = re.compile(r"(?i)^(con|prn|aux|nul|com\d|lpt\d)$")
_LONGEST = 120


def safe_stem(name: str) -> str:
    """The last part of a name without its ending, with nothing in it that a file system could trip over."""
    last = name.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1]
    stem = last.rsplit(".", 1)[0] if "." in last.lstrip(".") else last
    if not stem.isascii():  # asked letter by letter, which takes most of the time
        stem = unicodedata.normalize("NFC", stem.encode("utf-8", "replace").decode())
        stem = "".join(
            letter for letter in stem if unicodedata.category(letter) not in ("Cf", "Cs", "Co", "Cn")
        )
    stem = _UNSAFE.sub("_", stem).strip(" .")[:_LONGEST].rstrip(" .")
    # Most file systems count bytes, and a letter may take four of them.
    while len(stem.encode()) > 200:
        stem = stem[:-1]
    if not stem or _RESERVED.match(stem):
        stem = f"recording{'_' + stem if stem else ''}"
    return stem


class FileNames:
    """Hands out names; a stem that was taken gets a number: `talk.png`, `talk-2.png`."""

    def __init__(self) -> None:
        self._taken: set[str] = set()
        self._last: dict[str, int] = {}

    def take(self, name: str, ending: str) -> str:
        """Args:
        ending: with its dot.
        """
        stem = safe_stem(name)
        candidate = stem
        while (folded := (candidate + ending).casefold()) in self._taken:
            number = self._last.get(stem.casefold(), 1) + 1
            self._last[stem.casefold()] = number
            candidate = f"{stem}-{number}"
        self._taken.add(folded)
        return candidate + ending
