"""Manifests: a list of recordings with the user's own key for each, as CSV or as JSON lines.

A job over 100,000 lines should not fail at line 70,000 after an hour, so a manifest is read to its end before
anything else happens, and every bad line is told at once, with its number. Columns that mean nothing here are
ignored: most manifests come from somewhere else.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import InvalidManifest

KEY_COLUMNS = ("key", "id", "name")
PATH_COLUMNS = ("path", "file", "recording", "audio")
LONGEST_KEY = 1000  # what the service keeps
_BOM = b"\xef\xbb\xbf"
_PROBLEMS_TOLD = 100

Fields = dict[str, Any]


@dataclass(frozen=True)
class Line:
    """One recording to be: where it lies, and how people know it."""

    key: str
    path: Path
    name: str


@dataclass(frozen=True)
class NamedLine:
    """One line of a manifest whose files are elsewhere: where it stands, and what it says."""

    number: int
    key: str
    path: str  # as written


@dataclass(frozen=True)
class Checked:
    """What a manifest says, and what is wrong with it: number of the line and words that go on from it."""

    lines: list[NamedLine]
    problems: list[tuple[int, str]]


def check_manifest(name: str, data: bytes) -> Checked:
    """Reads a manifest whose recordings are not on this machine; only what it says by itself is judged.

    Args:
        name: tells CSV from JSON lines by its ending.
    """
    path = Path(name)
    problems: list[tuple[int, str]] = []
    try:
        text = _text(path, data, problems)
        rows = _csv_rows if path.suffix.lower() == ".csv" else _jsonl_rows
        named = [
            NamedLine(number, key, written)
            for number, key, written in _named(rows(path, text, problems.append), problems, lambda _: None)
        ]
    except InvalidManifest as error:
        return Checked([], [(1, error.message)])
    if not named and not problems:
        return Checked([], [(1, "names no recording")])
    return Checked(named, sorted(problems))


def read_manifest(path: Path) -> list[Line]:
    """The lines of a manifest; relative paths in it start from its own folder.

    Raises:
        InvalidManifest: naming every bad line, up to a hundred of them.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InvalidManifest(f"The manifest {str(path)!r} cannot be read: {error.strerror}.") from error
    problems: list[tuple[int, str]] = []
    text = _text(path, data, problems)
    rows = _csv_rows if path.suffix.lower() == ".csv" else _jsonl_rows
    folder = path.parent
    lines = [
        Line(key, folder / written, Path(written).name or written)
        for _, key, written in _named(
            rows(path, text, problems.append), problems, lambda written: _wrong_path(folder, written)
        )
    ]
    if problems:
        raise InvalidManifest(_told(path, sorted(problems)))
    if not lines:
        raise InvalidManifest(f"The manifest {str(path)!r} is empty: it names no recording.")
    return lines


def _text(path: Path, data: bytes, problems: list[tuple[int, str]]) -> str:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise InvalidManifest(f"The manifest {str(path)!r} is UTF-16: save it as UTF-8.")
    data = data.removeprefix(_BOM)
    for number, line in enumerate(data.split(b"\n"), start=1):
        try:
            line.decode("utf-8")
        except UnicodeDecodeError:
            problems.append((number, "is not UTF-8"))
    return data.decode("utf-8", "replace")


def _csv_rows(
    path: Path, text: str, problem: Callable[[tuple[int, str]], None]
) -> Iterator[tuple[int, Fields]]:
    first = text.split("\n", 1)[0].rstrip("\r")
    if not first.strip():
        raise InvalidManifest(f"The manifest {str(path)!r} is empty: its first line must name the columns.")
    # Spreadsheets of half the world write semicolons.
    separator = max(",;\t", key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    header: list[str] = []
    try:
        header = [cell.strip().lower() for cell in next(reader)]
        if not any(column in header for column in PATH_COLUMNS):
            raise InvalidManifest(
                f"The manifest {str(path)!r} has no column {' or '.join(map(repr, PATH_COLUMNS))}: its first "
                f"line must name the columns, as in `key,path`; it is {first[:80]!r}."
            )
        before = reader.line_num
        for row in reader:
            number, before = before + 1, reader.line_num
            if not any(cell.strip() for cell in row):
                continue
            if len(row) > len(header):
                problem(
                    (number, f"has {len(row)} cells where the first line has {len(header)}: quote the commas")
                )
                continue
            yield number, dict(zip(header, row + [""] * (len(header) - len(row)), strict=True))
    except csv.Error as error:
        problem((reader.line_num, f"is not CSV: {error}"))


def _jsonl_rows(
    path: Path, text: str, problem: Callable[[tuple[int, str]], None]
) -> Iterator[tuple[int, Fields]]:
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            problem((number, f"is not JSON: {error}"))
            continue
        if isinstance(row, dict):
            yield number, {str(name).lower(): value for name, value in row.items()}
        else:
            problem((number, 'is not an object such as {"key": "…", "path": "…"}'))


def _named(
    rows: Iterator[tuple[int, Fields]],
    problems: list[tuple[int, str]],
    judge: Callable[[str], str | None],
) -> Iterator[tuple[int, str, str]]:
    """Number, key and path of each good line; `judge` says what is wrong with a path."""
    first_use: dict[str, int] = {}
    for number, row in rows:
        written = _cell(row, PATH_COLUMNS)
        if not written:
            problems.append((number, "names no file"))
            continue
        key = _cell(row, KEY_COLUMNS)
        if key is None:  # no such column at all: the path, as written, is the key
            key = written
        wrong = _wrong_key(key, first_use) or judge(written)
        first_use.setdefault(key, number)
        if wrong:
            problems.append((number, wrong))
            continue
        yield number, key, written


def _cell(row: Fields, columns: tuple[str, ...]) -> str | None:
    """The first of these columns that the row has, as text; None where it has none of them."""
    for column in columns:
        value = row.get(column)
        if isinstance(value, str):
            # Spaces around a cell are a slip; inside it they may be part of a name.
            return value.strip()
        if isinstance(value, int | float) and not isinstance(value, bool):
            return str(value)
        if column in row:
            return ""
    return None


def _wrong_key(key: str, first_use: dict[str, int]) -> str | None:
    if not key:
        return "has no key"
    if len(key) > LONGEST_KEY:
        return f"has a key of {len(key):,} characters; {LONGEST_KEY:,} is the most"
    if "\0" in key:
        return "has a NUL in its key"
    if key in first_use:
        return f"uses the key {key!r} again (first on line {first_use[key]})"
    return None


def _wrong_path(folder: Path, written: str) -> str | None:
    if "://" in written:
        return f"names {written!r}: only files of this machine can be named here"
    try:
        path = folder / written
        if path.is_file():
            return None
        return f"names {written!r}, which is {'a folder' if path.is_dir() else 'not there'}"
    except (OSError, ValueError):  # a NUL, or a name longer than any file system takes
        return f"names {written[:200]!r}, which cannot be a file"


def _told(path: Path, problems: list[tuple[int, str]]) -> str:
    told = [f"  line {number} {what}" for number, what in problems[:_PROBLEMS_TOLD]]
    if len(problems) > _PROBLEMS_TOLD:
        told.append(f"  … and {len(problems) - _PROBLEMS_TOLD:,} more")
    count = f"{len(problems):,} bad line{'s' if len(problems) != 1 else ''}"
    return "\n".join([f"The manifest {str(path)!r} has {count}; nothing was submitted:", *told])
