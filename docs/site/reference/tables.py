"""Tables of Markdown whose cells may hold anything."""

from __future__ import annotations

from collections.abc import Iterable


def table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """One line a row; nothing at all where there is no row."""
    lines = [_line(row) for row in rows]
    if not lines:
        return ""
    named = list(heads)
    return "\n".join([_line(named), _line("---" for _ in named), *lines, ""])


def code(text: object) -> str:
    """Text that is shown as it is."""
    return f"`{text}`" if str(text) else ""


def plain(text: object) -> str:
    """Words in which nothing is markup but what stands between backticks."""
    parts = " ".join(str(text).split()).split("`")
    for place in range(0, len(parts), 2):
        for mark in "\\*_<>[]":
            parts[place] = parts[place].replace(mark, f"\\{mark}")
    return "`".join(parts)


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"
