"""Draws a kept timeline: `python -m tests.hosts.picture TIMELINE.json PICTURE.svg`.

A row for each host. Bars are what was done to it; the small columns in a worker's row are the faces that it published.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from tests.hosts.place import OFFICES, SERVERS, WORKERS

_WIDTH, _LEFT, _ROW, _TOP = 1280, 90, 46, 30
_BAR, _COLUMNS = 13, 24
_SECONDS = 5.0  # of one column
_MOST = 40  # faces in as many seconds that fill a row; more are cut
_COLOURS = {
    "cut off": "#c2410c",
    "restarts": "#2563eb",
    "killed": "#b91c1c",
    "tables": "#7c3aed",
    "trains": "#0f766e",
    "bad cable": "#a16207",
}
_OTHER = "#64748b"


def draw(kept: Mapping[str, Any]) -> str:
    """The timeline as SVG."""
    hosts = [*WORKERS, *OFFICES, *SERVERS]
    looks = kept["drawn"]
    ends: float = max([span["ends"] for span in kept["spans"]] + [at for at, _ in looks])
    begins: float = min([span["begins"] for span in kept["spans"]] + [at for at, _ in looks])
    scale = (_WIDTH - _LEFT - 20) / (ends - begins)

    def x(seconds: float) -> float:
        return _LEFT + (seconds - begins) * scale

    height = _TOP + _ROW * len(hosts) + 40
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" font-family="sans-serif" '
        'font-size="11">',
        f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>',
    ]
    for minute in range(int((ends - begins) // 60) + 1):
        at = x(begins + 60 * minute)
        parts.append(f'<path d="M{at:.1f} {_TOP - 8}V{height - 30}" stroke="#e2e8f0"/>')
        if minute % 5 == 0:
            parts.append(
                f'<text x="{at:.1f}" y="{height - 14}" fill="#334155" text-anchor="middle">{minute} min</text>'
            )
    for row, host in enumerate(hosts):
        top = _TOP + _ROW * row
        parts.append(f'<path d="M{_LEFT} {top + _ROW - 4}H{_WIDTH - 20}" stroke="#cbd5e1"/>')
        parts.append(f'<text x="8" y="{top + _ROW - 12}" fill="#0f172a">{host}</text>')
        for at, count in _faces(looks, host):
            tall = min(1.0, count / _MOST) * _COLUMNS
            parts.append(
                f'<rect x="{x(at):.1f}" y="{top + _ROW - 4 - tall:.1f}" width="{max(0.8, _SECONDS * scale - 0.4):.1f}" '
                f'height="{tall:.1f}" fill="#94a3b8"/>'
            )
        # What was done to a host lies over the training that it was in.
        for span in sorted(kept["spans"], key=lambda one: "trains" not in one["what"]):
            if span["host"] == host:
                wide = max(1.5, (span["ends"] - span["begins"]) * scale)
                told = escape(f"{span['what']}, {span['ends'] - span['begins']:.0f} s")
                parts.append(
                    f'<rect x="{x(span["begins"]):.1f}" y="{top}" width="{wide:.1f}" height="{_BAR}" rx="2" '
                    f'fill="{_colour(span["what"])}"><title>{told}</title></rect>'
                )
    parts.append(_legend())
    return "\n".join([*parts, "</svg>", ""])


def _faces(looks: Sequence[tuple[float, Mapping[str, int]]], host: str) -> list[tuple[float, int]]:
    """Faces of a host in columns of some seconds."""
    columns: dict[float, int] = {}
    before = 0
    for at, drawn in looks:
        now = drawn.get(host, before)
        column = at // _SECONDS * _SECONDS
        columns[column] = columns.get(column, 0) + now - before
        before = now
    return [(at, count) for at, count in columns.items() if count > 0]


def _colour(what: str) -> str:
    return next((colour for word, colour in _COLOURS.items() if word in what), _OTHER)


def _legend() -> str:
    words = {"cut off": "cable pulled", "restarts": "restarts", "killed": "killed", "tables": "migrates",
             "trains": "trains", "bad cable": "bad cable"}  # fmt: skip
    parts, at = [], _LEFT
    for word, title in words.items():
        parts.append(f'<rect x="{at}" y="8" width="12" height="10" fill="{_COLOURS[word]}"/>')
        parts.append(f'<text x="{at + 16}" y="17" fill="#334155">{title}</text>')
        at += 40 + 7 * len(title)
    parts.append(f'<rect x="{at}" y="8" width="12" height="10" fill="#94a3b8"/>')
    told = f"faces in {_SECONDS:.0f} s, a full row is {_MOST}"
    parts.append(f'<text x="{at + 16}" y="17" fill="#334155">{told}</text>')
    return "\n".join(parts)


if __name__ == "__main__":
    timeline, picture = map(Path, sys.argv[1:])
    picture.write_text(draw(json.loads(timeline.read_text())))
