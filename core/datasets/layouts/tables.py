"""Small tables beside a dataset: comma, semicolon or tab separated, or JSON lines, each row with its line number."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from core.datasets.layouts.source import SourceFile
from core.errors import InvalidManifest

TABLES = frozenset({".csv", ".tsv", ".jsonl"})
_BOM = b"\xef\xbb\xbf"
_PROBLEMS_TOLD = 100

Row = dict[str, str]


@dataclass(frozen=True)
class Table:
    """A table as text. Names of columns are in small letters."""

    columns: tuple[str, ...]
    rows: tuple[tuple[int, Row], ...]

    def values(self, column: str) -> Iterator[str]:
        """The cells of a column that hold something."""
        return (row[column] for _, row in self.rows if row.get(column))


def read_table(file: SourceFile) -> Table:
    """Reads a whole table.

    Raises:
        InvalidManifest: naming every bad line, up to a hundred of them.
    """
    if file.read is None:
        raise InvalidManifest(f"The table {file.path!r} was not sent, and nothing can be planned without it.")
    data = file.read()
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise InvalidManifest(f"The table {file.path!r} is UTF-16: save it as UTF-8.")
    problems: list[tuple[int, str]] = []
    text = data.removeprefix(_BOM).decode("utf-8", "surrogateescape")
    for number, line in enumerate(text.split("\n"), start=1):
        if any(0xDC80 <= ord(letter) <= 0xDCFF for letter in line):
            problems.append((number, "is not UTF-8"))
    rows = list(_jsonl(text, problems) if file.ending == ".jsonl" else _separated(file, text, problems))
    tell_problems(file, problems)
    columns = dict.fromkeys(name for _, row in rows for name in row)
    return Table(tuple(columns), tuple(rows))


def tell_problems(file: SourceFile, problems: Sequence[tuple[int, str]]) -> None:
    """Raises InvalidManifest where there are any."""
    if not problems:
        return
    told = [f"  line {number} {what}" for number, what in sorted(problems)[:_PROBLEMS_TOLD]]
    if len(problems) > _PROBLEMS_TOLD:
        told.append(f"  … and {len(problems) - _PROBLEMS_TOLD:,} more")
    count = f"{len(problems):,} bad line{'s' if len(problems) != 1 else ''}"
    raise InvalidManifest("\n".join([f"{file.path!r} has {count}; nothing was prepared:", *told]))


def _separated(file: SourceFile, text: str, problems: list[tuple[int, str]]) -> Iterator[tuple[int, Row]]:
    first = text.split("\n", 1)[0]
    if not first.strip():
        raise InvalidManifest(f"The table {file.path!r} is empty: its first line must name the columns.")
    # Spreadsheets of half the world write semicolons.
    separator = max("\t,;", key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    try:
        header = [cell.strip().lower() for cell in next(reader)]
        before = reader.line_num
        for cells in reader:
            number, before = before + 1, reader.line_num
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) > len(header):
                problems.append(
                    (
                        number,
                        f"has {len(cells)} cells where the first line has {len(header)}: quote the commas",
                    )
                )
                continue
            cells += [""] * (len(header) - len(cells))
            yield number, {name: cell.strip() for name, cell in zip(header, cells, strict=True) if name}
    except csv.Error as error:
        problems.append((reader.line_num, f"is no row of a table: {error}"))


def _jsonl(text: str, problems: list[tuple[int, str]]) -> Iterator[tuple[int, Row]]:
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            problems.append((number, f"is not JSON: {error}"))
            continue
        if not _is_writable(line, row):
            problems.append((number, "holds half of a letter (a lone surrogate)"))
        elif isinstance(row, dict):
            yield number, {str(name).lower(): _text(value) for name, value in row.items()}
        else:
            problems.append((number, 'is not an object such as {"identity": "…", "path": "…"}'))


def _is_writable(line: str, row: object) -> bool:
    """Whether what was read can be written again; JSON can spell letters that are none."""
    if "\\u" not in line:
        return True
    try:
        json.dumps(row, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def _text(value: object) -> str:
    if isinstance(value, str):
        return value.strip()
    return "" if value is None else json.dumps(value, ensure_ascii=False)
