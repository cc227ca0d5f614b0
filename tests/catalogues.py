"""Compiled catalogues for tests, and a language that nobody speaks: what it lacks stays in plain English letters."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable
from pathlib import Path

from dashboard.message_sources import NUMBER, Message

# Placeholders, HTML and its entities stay as they are in a translation.
_KEPT = re.compile(r"%\(\w+\)[sd]|\{\w+\}|<[^>]*>|&\w+;|%%")
_ACCENTS = str.maketrans("aeiouyAEIOUYncszNCSZgk", "åéîöüýÅÉÎÖÜÝñçšžÑÇŠŽğķ")


def write_catalogue(folder: Path, language: str, words: dict[str, str], plurals: str = "") -> None:
    """A compiled catalogue, as msgfmt makes them.

    Args:
        words: messages; forms of a plural are joined by a zero, as are one and many in its key.
        plurals: the language's rule, such as `nplurals=2; plural=n != 1;`.
    """
    head = "Content-Type: text/plain; charset=UTF-8\n" + (f"Plural-Forms: {plurals}\n" if plurals else "")
    entries = sorted({"": head, **words}.items())
    texts = [[text.encode() for text in column] for column in zip(*entries, strict=True)]
    start, at = 28, 28 + 16 * len(entries)
    tables, body = b"", b""
    for column in texts:
        for text in column:
            tables += struct.pack("<II", len(text), at + len(body))
            body += text + b"\0"
    content = (
        struct.pack("<7I", 0x950412DE, 0, len(entries), start, start + 8 * len(entries), 0, 0) + tables + body
    )
    path = folder / language / "LC_MESSAGES" / "dashboard.mo"
    path.parent.mkdir(parents=True)
    path.write_bytes(content)


def accented(text: str) -> str:
    """A message in a language that can still be read: letters with accents, within brackets."""
    if text == NUMBER:
        return "1’234·5"
    said, at = "", 0
    for kept in _KEPT.finditer(text):
        said += text[at : kept.start()].translate(_ACCENTS) + kept[0]
        at = kept.end()
    return f"⟦{said}{text[at:].translate(_ACCENTS)}⟧"


def accented_catalogue(found: Iterable[Message]) -> dict[str, str]:
    """Every message in that language."""
    return {
        message.text if message.plural is None else f"{message.text}\0{message.plural}": "\0".join(
            accented(text) for text in (message.text, message.plural) if text is not None
        )
        for message in found
    }
