"""Server-sent events as the HTML standard describes them, read from bytes however they are cut."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

_LINE_END = re.compile(r"\r\n|\r|\n")


@dataclass(frozen=True)
class Message:
    """One event. `id` is the last that was told, in this event or before it."""

    id: str
    name: str
    data: str


class EventReader:
    """Keeps what a stream has told: the last id, and how long to wait before asking again.

    Attributes:
        last_id: of the last whole event that had one; empty before.
        retry_seconds: as the server wishes.
    """

    def __init__(self, last_id: str = "", retry_seconds: float = 2.0) -> None:
        self.last_id = last_id
        self.retry_seconds = retry_seconds

    def read(self, pieces: Iterable[bytes]) -> Iterator[Message]:
        """The events of one answer. One that was cut off in the middle is left out."""
        name, data, number = "", list[str](), self.last_id
        for line in _lines(pieces):
            if not line:
                self.last_id = number
                if data:
                    yield Message(number, name or "message", "\n".join(data))
                name, data = "", []
                continue
            field, _, value = line.partition(":")
            value = value.removeprefix(" ")
            match field:
                case "event":
                    name = value
                case "data":
                    data.append(value)
                case "id" if "\0" not in value:
                    number = value
                case "retry" if value.isascii() and value.isdigit():
                    self.retry_seconds = int(value) / 1000


def _lines(pieces: Iterable[bytes]) -> Iterator[str]:
    """Whole lines, without their ends."""
    decoder = codecs.getincrementaldecoder("utf-8-sig")("replace")
    waiting = ""
    for piece in pieces:
        waiting += decoder.decode(piece)
        # A CR at the very end may be half of a CR LF.
        held = "\r" if waiting.endswith("\r") else ""
        *whole, rest = _LINE_END.split(waiting.removesuffix(held) if held else waiting)
        yield from whole
        waiting = rest + held
    if waiting.endswith("\r"):
        yield waiting[:-1]
