"""Any tree with one folder for each person, whatever lies how deep in it; media are told by their endings.

Folders above those of people that only sort them are looked through: `train/`, `test/` (which then give the split),
`voices/`, `images/` and the like.
"""

from __future__ import annotations

from core.datasets.layouts.companions import companion_kind, companions_of
from core.datasets.layouts.reading import Reading, Request, side_of
from core.datasets.layouts.source import SourceFile
from core.datasets.layouts.words import SIDE_WORDS, SPLIT_WORDS, Splits
from core.datasets.recipes import Side


def recognise(request: Request) -> str | None:
    """Always possible, where media lie in folders at all."""
    people = {file.parts[0] for file in request.files.media if len(file.parts) > 1}
    return f"{len(people):,} folders" if people else None


def read(request: Request) -> Reading:
    reading = Reading()
    above = _sorting_levels(request)
    companions = companions_of(request.files.media)
    belonging = {file.path for some in companions.values() for file in some.values()}
    splits = Splits()
    for file in request.files.media:
        if len(file.parts) < above + 2 or file.path in belonging:
            continue
        person = file.parts[above]
        splits.see(person, file.parts[:above])
        side = side_of(file) or _side_of_array(file, above)
        if side is not None:
            reading.take(person, file, side, companions.get(file.path))
        elif companion_kind(file) == "landmarks":
            reading.leave(file.path, "missing_companion", "There is no picture beside these landmarks.")
        else:
            reading.leave(file.path, "not_media", "Nothing says whether this array is of a voice or a face.")
    reading.splits = splits.given()
    return reading


def _sorting_levels(request: Request) -> int:
    """How many levels of folders lie above those of people."""
    level = 0
    while True:
        names = {file.parts[level].lower() for file in request.files.media if len(file.parts) > level + 1}
        if not names or not all(name in SPLIT_WORDS or name in SIDE_WORDS for name in names):
            return level
        # `Ann/audios/1.wav` alone: what lies below must still be folders, or these were the people.
        if not all(
            len(file.parts) > level + 2 for file in request.files.media if len(file.parts) > level + 1
        ):
            return level
        level += 1


def _side_of_array(file: SourceFile, above: int) -> Side | None:
    if (kind := companion_kind(file)) is not None:
        return "face" if kind == "embedding" else None
    return next(
        (SIDE_WORDS[word.lower()] for word in file.parts[above:-1] if word.lower() in SIDE_WORDS), None
    )
