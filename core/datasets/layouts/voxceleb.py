"""VoxCeleb1 and VoxCeleb2: `[dev|test/][wav|aac/]idXXXXX/<video>/<clip>`, with their tables of speakers.

The two differ in their ids, in how recordings are coded, and in the columns of their tables; recordings that were
converted since keep their place, so the ending decides last.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from core.datasets.layouts.reading import Reading, Request
from core.datasets.layouts.source import Files, SourceFile
from core.datasets.layouts.tables import Row, read_table, tell_problems

Release = Literal[1, 2]

_SPEAKER = re.compile(r"^id[0-9]{5,}$")
_WORDS: dict[str, Release] = {"vox1": 1, "voxceleb1": 1, "vox2": 2, "voxceleb2": 2}
_META = {1: "vox1_meta", 2: "vox2_meta"}
_GENDERS = {"m": "male", "f": "female"}


@dataclass(frozen=True)
class Speaker:
    """A line of a table of speakers; `name` is the one that folders of faces have."""

    id: str
    name: str
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class VoxCeleb:
    """Reads one of the two."""

    release: Release

    def recognise(self, request: Request) -> str | None:
        """Recordings in folders of a speaker and a video, or the table of speakers beside such recordings."""
        found = [speaker for file, speaker in recordings(request.files) if release_of(file) == self.release]
        if not found:
            return None
        return f"{len(found):,} recordings of {len(set(found)):,} speakers such as {found[0]}"

    def read(self, request: Request) -> Reading:
        speakers, tables = read_speakers(request.files, self.release)
        reading = Reading(
            used=tables,
            beside=(
                "no_person",
                "It does not lie in the folder of a speaker and a video (idXXXXX/video/clip).",
            ),
        )
        for file, speaker in recordings(request.files):
            reading.take(speaker, file, "voice")
            if speaker in speakers:
                known = speakers[speaker]
                reading.attributes[speaker] = {**known.attributes, "name": known.name}
        return reading


def recordings(files: Files) -> Iterator[tuple[SourceFile, str]]:
    """Every recording that lies as VoxCeleb has it, and the id of its speaker."""
    for file in files.media:
        if file.kind == "recording" and len(file.parts) >= 3 and _SPEAKER.match(file.parts[-3]):
            yield file, file.parts[-3]


def release_of(file: SourceFile) -> Release:
    """Which VoxCeleb a recording is of: by a folder that says so, by the range of ids, by its ending."""
    for part in file.parts[:-3]:
        if (release := _WORDS.get(part.lower())) is not None:
            return release
    match file.parts[-3][2]:
        case "1":
            return 1
        case "0":
            return 2
    return 2 if file.ending in (".m4a", ".aac") else 1


def read_speakers(files: Files, release: Release) -> tuple[dict[str, Speaker], set[str]]:
    """The table of speakers by id, and the paths of the files it was read from.

    Raises:
        InvalidManifest: a table with bad lines; its message names them.
    """
    speakers: dict[str, Speaker] = {}
    used: set[str] = set()
    for file in files:
        if not file.stem.lower().startswith(_META[release]) or file.ending not in (".csv", ".tsv", ".txt"):
            continue
        used.add(file.path)
        problems: list[tuple[int, str]] = []
        for number, row in read_table(file).rows:
            speaker = _speaker({re.sub("[^a-z0-9]", "", name): value for name, value in row.items()}, release)
            if not _SPEAKER.match(speaker.id):
                problems.append((number, "has no id of a speaker such as id10001"))
            elif speakers.setdefault(speaker.id, speaker).name != speaker.name:
                problems.append((number, f"names {speaker.id} anew: {speaker.name!r}"))
        tell_problems(file, problems)
    return speakers, used


def _speaker(row: Row, release: Release) -> Speaker:
    first = ("voxceleb1id", "voxcelebid") if release == 1 else ("voxceleb2id", "voxcelebid")
    known = {
        "gender": _first(row, "gender", "genderx", "gendery").lower(),
        "nationality": _first(row, "nationality"),
        "set": _first(row, "set").lower(),
    }
    known["gender"] = _GENDERS.get(known["gender"], known["gender"])
    attributes = {name: value for name, value in known.items() if value}
    return Speaker(_first(row, *first), _first(row, "name", f"vggface{release}id"), attributes)


def _first(row: Row, *columns: str) -> str:
    return next((row[column] for column in columns if row.get(column)), "")
