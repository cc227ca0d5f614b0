"""What a folder of faces holds beside them: the table, the contact sheet, and what they are called.

Apart from those who fill it from a ledger or through the service: `draw` has neither, and should not wait for their
libraries before it begins.
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from core.errors import InvalidRequest

RESULTS = "results.csv"
CONTACT_SHEET = "contact_sheet.png"
# A sheet of more becomes a picture that nothing opens; the first ones stand for the others.
SHEET_TILES = 200
# Names of what a download puts beside the faces.
RESERVED = ("contact_sheet.png",)
# Those of other alphabets count as well where a spreadsheet takes the widths of letters for equal.
_BEGIN_FORMULAS = tuple("=+-@\t\r\n＝＋－＠")
_NEGATIVE = re.compile(r"-[0-9]+(\.[0-9]+)?")
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


def prepare_folder(out: Path) -> None:
    """Makes sure, before anything else is done, that results can be written there.

    Raises:
        InvalidRequest: they cannot.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        probe = out / f".{os.getpid()}.probe"
        probe.touch()
        probe.unlink()
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise InvalidRequest(f"Results cannot be written to {str(out)!r}: {reason}.") from error


def json_line(line: Result) -> str:
    return json.dumps(asdict(line), ensure_ascii=False) + "\n"


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
                _inert(line.error_code),
                _inert(line.error_message),
                _inert(line.model_version),
                seconds,
                _inert(line.face),
            ]
        )
        yield buffer.getvalue()
        buffer.seek(0)
        buffer.truncate()
    yield buffer.getvalue()


def _inert(cell: str) -> str:
    # A spreadsheet runs a cell that begins like a formula, and names and codes come from strangers. A number below
    # nought does nothing; what only begins like one, such as -1+cmd|…, may.
    return "'" + cell if cell[:1] in _BEGIN_FORMULAS and not _NEGATIVE.fullmatch(cell) else cell
