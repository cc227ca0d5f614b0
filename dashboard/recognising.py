"""Finding a sentence again that has its values in it already, so that it can be said in another language.

Sentences of `core` arrive on a page in English and whole: the reason of a refusal, the error of a recording that was
written into the ledger a month ago. The catalogue has them with `{names}` for values; what has the same shape is the
same sentence.
"""

from __future__ import annotations

import re
import struct
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

# With fewer letters than this of its own, a shape would fit what it does not mean.
_LETTERS = 6
_LONGEST = 2000
_BEGINNING = 4  # letters by which shapes are looked up
_VALUE = re.compile(r"\{(\w+)\}")
_LITTLE_ENDIAN = b"\xde\x12\x04\x95"


@dataclass(frozen=True)
class Shape:
    """A message as what stands between its values."""

    message: str
    names: list[str]
    literals: list[str]  # one more than names
    weight: int  # letters of its own

    def values(self, text: str) -> dict[str, str] | None:
        """The values that a text has in this shape, each as short as can be; None where it has another shape."""
        first, *between, last = self.literals
        if not (text.startswith(first) and text.endswith(last) and len(text) >= len(first) + len(last)):
            return None
        at, end, found = len(first), len(text) - len(last), dict[str, str]()
        # The first place of each literal leaves most room for those behind it, so no other needs to be tried.
        for name, literal in zip(self.names, between, strict=False):
            there = text.find(literal, at, end)
            if there < 0:
                return None
            found[name], at = text[at:there], there + len(literal)
        found[self.names[-1]] = text[at:end]
        return found


class Shapes:
    """The messages with values of one catalogue."""

    def __init__(self, messages: Iterator[str]) -> None:
        self._by_beginning: dict[str, list[Shape]] = defaultdict(list)
        for message in messages:
            literals = [part.replace("{{", "{").replace("}}", "}") for part in _VALUE.split(message)[::2]]
            weight = sum(map(str.isalpha, "".join(literals)))
            # What has a zero in it is two messages, one and many.
            if len(literals) > 1 and weight >= _LETTERS and "\0" not in message:
                shape = Shape(message, _VALUE.findall(message), literals, weight)
                self._by_beginning[literals[0][:_BEGINNING]].append(shape)
        for shapes in self._by_beginning.values():
            shapes.sort(key=lambda shape: -shape.weight)
        self.find = lru_cache(4096)(self._find)

    def _find(self, text: str) -> tuple[str, dict[str, str]] | None:
        """The message that a text is, and its values; the one with most words of its own where several fit."""
        best: tuple[Shape, dict[str, str]] | None = None
        for length in range(min(_BEGINNING, len(text)) + 1 if len(text) <= _LONGEST else 0):
            for shape in self._by_beginning.get(text[:length], ()):
                if best is not None and shape.weight <= best[0].weight:
                    break
                if (values := shape.values(text)) is not None:
                    best = shape, values
                    break
        return None if best is None else (best[0].message, best[1])


def messages_of(catalogue: Path) -> Iterator[str]:
    """The messages that a compiled catalogue translates: the table of originals of GNU's format."""
    content = catalogue.read_bytes()
    order = "<" if content.startswith(_LITTLE_ENDIAN) else ">"
    count, table = struct.unpack_from(f"{order}2I", content, 8)
    for number in range(count):
        length, at = struct.unpack_from(f"{order}2I", content, table + 8 * number)
        yield content[at : at + length].decode("utf-8")
