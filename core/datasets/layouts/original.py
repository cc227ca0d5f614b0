"""`<identity>/audios/**` and `<identity>/images/**`: recordings and pictures, or arrays that were made of them."""

from __future__ import annotations

from collections.abc import Iterator

from core.datasets.layouts.companions import companion_kind, companions_of
from core.datasets.layouts.reading import Reading, Request
from core.datasets.layouts.source import Files, SourceFile
from core.datasets.layouts.words import SPLIT_WORDS, Splits
from core.datasets.recipes import Side

_FOLDERS: dict[str, Side] = {"audios": "voice", "images": "face"}


def recognise(request: Request) -> str | None:
    """Folders `audios` and `images` below those of people."""
    people = {person for _, person, side, _ in _placed(request.files) if side == "voice"}
    return f"audios/ and images/ of {len(people):,} people" if people else None


def read(request: Request) -> Reading:
    reading = Reading(beside=("no_person", "It lies neither in audios/ nor in images/ of a person."))
    companions = companions_of(request.files.media)
    belonging = {file.path for some in companions.values() for file in some.values()}
    splits = Splits()
    for file, person, side, above in _placed(request.files):
        splits.see(person, above)
        if file.path in belonging:
            continue
        if file.kind == "array" and companion_kind(file) == "landmarks":
            reading.leave(file.path, "missing_companion", "There is no picture beside these landmarks.")
        elif file.kind == ("picture" if side == "voice" else "recording"):
            reading.leave(
                file.path, "not_media", f"A {file.kind} does not belong among these {file.parts[-2]}."
            )
        else:
            reading.take(person, file, side, companions.get(file.path))
    reading.splits = splits.given()
    return reading


def _placed(files: Files) -> Iterator[tuple[SourceFile, str, Side, tuple[str, ...]]]:
    """Each file in its place, with its person, its side, and the folders of parts above that of the person."""
    for file in files.media:
        at = next((n for n, part in enumerate(file.parts[:-1]) if n and part.lower() in _FOLDERS), None)
        if at is None:
            continue
        above = file.parts[:1] if at > 1 and file.parts[0].lower() in SPLIT_WORDS else ()
        # Equal names in different folders may be different people.
        yield file, "/".join(file.parts[len(above) : at]), _FOLDERS[file.parts[at].lower()], above
