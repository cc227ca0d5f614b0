"""A table that names each input and whose it is: columns of paths, one of people, and what is known of them.

Most tables come from somewhere else, so their columns are recognised by what is in them; where that leaves a choice,
the user is asked. Lines that contradict one another are told, all of them, before anything is prepared.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from core.datasets.layouts.companions import companions_of
from core.datasets.layouts.reading import Reading, Request, side_of
from core.datasets.layouts.source import SourceFile, why_unsafe
from core.datasets.layouts.tables import TABLES, Row, Table, read_table, tell_problems
from core.datasets.layouts.words import SIDE_WORDS, SPLIT_WORDS
from core.datasets.recipes import Side, Split
from core.errors import InvalidManifest, InvalidRequest

IDENTITY_COLUMNS = ("identity", "person", "person_id", "speaker", "speaker_id", "subject", "actor")
SPLIT_COLUMNS = ("split", "part", "subset")
SIDE_COLUMNS = ("side",)
# What a column can be told to hold with `columns`.
PURPOSES = ("identity", "voice", "face", "path", "side", "split")
# They name the line and say nothing of the person.
_LINE_COLUMNS = frozenset({"clip", "clip_id", "id", "key", "utterance", "utterance_id"})
_SIDES: tuple[tuple[Side, str], ...] = (("voice", "recordings"), ("face", "pictures"))
_LEAST_MEDIA = 0.5  # a column with a greater share of names of media is a column of paths


@dataclass(frozen=True)
class Columns:
    """Which columns of a table hold what."""

    identity: str
    media: tuple[tuple[str, Side | None], ...]  # with the side that all of a column is of
    side: str | None
    split: str | None
    others: tuple[str, ...]


@dataclass
class _Person:
    """What the lines about one person say."""

    split: tuple[Split, int] | None = None
    values: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))


def recognise(request: Request) -> str | None:
    """A table in the uppermost folder that names people and media."""
    manifests = _manifests(request)
    if not manifests:
        return None
    return " and ".join(file.path for file in manifests[:3]) + (
        " name people and files" if manifests[1:] else ""
    )


def read(request: Request) -> Reading:
    """Raises:
    InvalidRequest: there is no manifest, several, or its columns leave a choice.
    InvalidManifest: lines that cannot be used; all of them are told.
    """
    file = _manifest(request)
    table = read_table(file)
    columns = choose_columns(table, request)
    reading = Reading(used={file.path}, beside=("not_in_manifest", f"{file.name} does not name it."))
    companions = companions_of(request.files.media)
    people: dict[str, _Person] = defaultdict(_Person)
    owners: dict[str, tuple[str, int]] = {}
    problems: list[tuple[int, str]] = []
    folder = file.path[: -len(file.name)]
    for number, row in table.rows:
        person = row.get(columns.identity, "")
        for column, side in columns.media:
            path = _clean(row.get(column, ""))
            if not path:
                continue
            if why := why_unsafe(path):
                problems.append((number, f"names {path[:200]!r} ({why})"))
                continue
            named = request.files.get(folder + path)
            side = side or _side(row, columns, named) or _side_by_name(column)
            if not person:
                reading.leave(folder + path, "no_person", f"Line {number} of {file.name} names no person.")
            elif named is None:
                reading.leave(
                    folder + path,
                    "bad_metadata",
                    f"Line {number} of {file.name} names it, and it is not there.",
                )
            elif side is None:
                problems.append((number, f"names {path!r} and does not say whether it is a voice or a face"))
            elif owners.setdefault(named.path, (person, number))[0] != person:
                other, first = owners[named.path]
                problems.append((number, f"gives {path!r} to {person!r}, line {first} gave it to {other!r}"))
            else:
                reading.take(person, named, side, companions.get(named.path))
        if person:
            _learn(people[person], person, row, number, columns, problems)
    tell_problems(file, problems)
    by = set(request.recipe.split.by)
    reading.attributes = {name: _attributes(person, by) for name, person in people.items()}
    reading.splits = {name: person.split[0] for name, person in people.items() if person.split}
    return reading


def choose_columns(table: Table, request: Request) -> Columns:
    """Which columns hold what, from the user's word, their names, and what is in them.

    Raises:
        InvalidRequest: one is missing, or several would do; the message says what to pass.
    """
    told = {purpose: name.strip().lower() for purpose, name in request.options.columns.items()}
    for purpose, name in told.items():
        if purpose not in PURPOSES:
            raise InvalidRequest(f"A column cannot hold {purpose!r}. It can hold: {', '.join(PURPOSES)}.")
        if name not in table.columns:
            raise InvalidRequest(
                f"The manifest has no column {name!r}. It has: {', '.join(table.columns) or 'none'}."
            )
    identity = told.get("identity") or next((c for c in IDENTITY_COLUMNS if c in table.columns), None)
    if identity is None:
        raise InvalidRequest(
            f"No column of the manifest names the person ({', '.join(IDENTITY_COLUMNS)}): "
            "say which as column identity=NAME."
        )
    split = told.get("split") or next((c for c in SPLIT_COLUMNS if c in table.columns), None)
    side = told.get("side") or next((c for c in SIDE_COLUMNS if c in table.columns), None)
    found = {column: kind for column in table.columns if (kind := _media_in(table, column))}
    media = _media_columns(told, found, request)
    taken = {identity, split, side, *found, *(column for column, _ in media), *_LINE_COLUMNS}
    others = tuple(column for column in table.columns if column not in taken)
    return Columns(identity, media, side, split, others)


def _media_columns(
    told: dict[str, str], found: dict[str, set[Side | None]], request: Request
) -> tuple[tuple[str, Side | None], ...]:
    media: list[tuple[str, Side | None]] = []
    if "path" in told:
        media.append((told["path"], None))
    for side, what in _SIDES:
        if side in told:
            media.append((told[side], side))
            continue
        if "path" in told:
            continue
        only = [column for column, sides in found.items() if sides == {side}]
        if len(only) > 1 and not request.wants(side):
            continue  # nobody has to choose among what is not wanted
        if len(only) > 1:
            raise InvalidRequest(
                f"The manifest has several columns of {what} ({', '.join(only)}): "
                f"say which as column {side}=NAME."
            )
        media += [(column, side) for column in only]
    if not told.keys() & {"path", "voice", "face"}:
        # A column with both, or with arrays, which its own line or name must explain.
        media += [(column, None) for column, sides in found.items() if sides == {None} or len(sides) > 1]
    if not media:
        raise InvalidRequest(
            "No column of the manifest names recordings or pictures: say which as column path=NAME."
        )
    return tuple(media)


def _media_in(table: Table, column: str) -> set[Side | None]:
    """The sides that the paths in a column are of; empty where it is no column of paths."""
    kinds = Counter[Side | None]()
    count = 0
    for value in table.values(column):
        count += 1
        file = SourceFile(value)
        if file.kind is not None:
            kinds[side_of(file)] += 1
    return set(kinds) if count and sum(kinds.values()) > _LEAST_MEDIA * count else set()


def _side(row: Row, columns: Columns, file: SourceFile | None) -> Side | None:
    given = row.get(columns.side, "").lower() if columns.side else ""
    return SIDE_WORDS.get(given) or (side_of(file) if file else None)


def _side_by_name(column: str) -> Side | None:
    """The side that a column's name speaks of, for arrays, whose endings are silent."""
    return next((SIDE_WORDS[word] for word in column.split("_") if word in SIDE_WORDS), None)


def _learn(
    person: _Person, name: str, row: Row, number: int, columns: Columns, problems: list[tuple[int, str]]
) -> None:
    for column in columns.others:
        if value := row.get(column, ""):
            person.values[column].append(value)
    given = row.get(columns.split, "").lower() if columns.split else ""
    if not given:
        return
    split = SPLIT_WORDS.get(given)
    if split is None:
        problems.append((number, f"has the split {given!r}, which is none of train, validation, test"))
    elif person.split is None:
        person.split = (split, number)
    elif person.split[0] != split:
        before, first = person.split
        problems.append((number, f"puts {name!r} in {split}, line {first} put them in {before}"))


def _attributes(person: _Person, by: set[str]) -> dict[str, str]:
    """What all lines of a person agree on. What differs is told of clips; only where people are split by it
    does it become the person's: the mean of numbers, the most frequent of words."""
    attributes = {}
    for name, values in person.values.items():
        if len(set(values)) == 1:
            attributes[name] = values[0]
        elif name in by:
            attributes[name] = _middle(values)
    return attributes


def _middle(values: Sequence[str]) -> str:
    try:
        mean = math.fsum(map(float, values)) / len(values)
    except ValueError:
        return min(Counter(values).items(), key=lambda pair: (-pair[1], pair[0]))[0]
    return f"{mean:.2f}".rstrip("0").rstrip(".")


def _clean(path: str) -> str:
    path = path.replace("\\", "/")
    while path.startswith("./"):
        path = path[2:]
    return path


def _manifest(request: Request) -> SourceFile:
    if request.options.manifest is not None:
        file = request.files.get(request.options.manifest)
        if file is None:
            raise InvalidRequest(f"There is no manifest {request.options.manifest!r}.")
        return file
    manifests = _manifests(request) or [file for file in request.files if _may_be(file)]
    if not manifests:
        raise InvalidRequest("There is no manifest: no .csv, .tsv or .jsonl lies in the uppermost folder.")
    if len(manifests) > 1:
        listed = ", ".join(file.path for file in manifests)
        raise InvalidRequest(
            f"There are several manifests ({listed}): name one of them instead of the folder."
        )
    return manifests[0]


def _manifests(request: Request) -> list[SourceFile]:
    """The tables that name people and media."""
    if request.options.manifest is not None:
        return [file for file in request.files if file.path == request.options.manifest]
    found = []
    for file in request.files:
        if not _may_be(file):
            continue
        try:
            table = read_table(file)
        except InvalidManifest:
            continue  # told when it is read because somebody means it
        people = {request.options.columns.get("identity", "").lower(), *IDENTITY_COLUMNS}
        if people & set(table.columns) and any(_media_in(table, column) for column in table.columns):
            found.append(file)
    return found


def _may_be(file: SourceFile) -> bool:
    return file.ending in TABLES and len(file.parts) == 1 and file.read is not None
