"""A job's results as people take them away: the table of all its lines, and the file name of each face."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from core.names import FileNames
from core.queries import ItemRow
from core.states import ITEM_WITH_FACE

# Names of what a download puts beside the faces.
RESERVED = ("contact_sheet.png",)
COLUMNS = ("recording", "key", "state", "error_code", "error_message", "model_version", "seconds", "face")


@dataclass(frozen=True)
class Result:
    """One line of `results.csv`."""

    recording: str
    key: str
    state: str
    error_code: str
    error_message: str
    model_version: str
    seconds: float | None
    face: str  # file name of the picture beside the table; empty where there is none


def results(rows: Iterable[ItemRow], model_version: str) -> Iterator[tuple[ItemRow, Result]]:
    """Names every face of a job; the same rows always get the same names."""
    names = FileNames()
    for reserved in RESERVED:
        names.take(reserved, ".png")
    for row in rows:
        has_face = row.state in ITEM_WITH_FACE and row.face_key is not None
        # Taken for every line, face or not: a download in mid-job and one at its end agree on every name.
        face = names.take(row.name, ".png")
        yield (
            row,
            Result(
                recording=row.name,
                key=row.key,
                state=row.state.value,
                error_code=row.error_code or "",
                error_message=row.error_message or "",
                model_version=model_version,
                seconds=row.seconds,
                face=face if has_face else "",
            ),
        )


def csv_lines(lines: Iterable[Result]) -> Iterator[str]:
    """The table, header first, piece by piece."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for line in lines:
        seconds = "" if line.seconds is None else f"{line.seconds:.3f}"
        writer.writerow(
            [
                _inert(line.recording),
                _inert(line.key),
                line.state,
                line.error_code,
                _inert(line.error_message),
                line.model_version,
                seconds,
                _inert(line.face),
            ]
        )
        yield buffer.getvalue()
        buffer.seek(0)
        buffer.truncate()
    yield buffer.getvalue()


def _inert(cell: str) -> str:
    # A spreadsheet runs a cell that begins like a formula, and file names come from strangers.
    return (
        "'" + cell
        if cell[:1] in ("=", "+", "@", "\t", "\r") or (cell[:1] == "-" and not cell[1:2].isdigit())
        else cell
    )
