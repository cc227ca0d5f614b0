"""The report that an evaluation or an analysis left, as its page shows it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from core.errors import NotFound
from core.ledger.training_tables import JobFile
from core.models.metric_words import METRIC_GROUPS, in_order, metric_group
from core.store import Store
from dashboard.spoken import metric_title
from dashboard.translation import phrase, said

LARGEST_REPORT_BYTES = 8 * 2**20


@dataclass(frozen=True)
class Chart:
    """A picture of a report. `name` is that of the job's file."""

    name: str
    title: str
    caption: str


@dataclass(frozen=True)
class Table:
    title: str
    columns: list[str]
    rows: list[list[Any]]
    caption: str = ""


@dataclass(frozen=True)
class Report:
    """Attributes:
    html: name of the self-contained page among the job's files; empty where there is none.
    data: name of the JSON.
    """

    told: dict[str, Any]
    html: str
    data: str
    charts: list[Chart] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)

    @property
    def notes(self) -> list[str]:
        return [str(note) for note in self.told.get("notes", [])]

    @property
    def left_out(self) -> list[tuple[str, str]]:
        """Metrics that could not be measured, with the reason."""
        return [(metric_title(name), said(str(why))) for name, why in self.told.get("left_out", {}).items()]


def report_of(store: Store, files: Sequence[JobFile], model: str = "") -> Report | None:
    """The report among a job's files; None where there is none that can be read.

    Args:
        model: whose, where a job left several.
    """
    names = {file.name: file for file in files}
    found = None
    for file in files:
        if file.name.rpartition("/")[2] != "report.json" or file.size_bytes > LARGEST_REPORT_BYTES:
            continue
        try:
            told = json.loads(store.get(file.object_key))
        except (NotFound, ValueError):
            continue
        made = _report(told, file.name, names)
        if told.get("model") == model:
            return made
        found = found or made
    return found


def _report(told: dict[str, Any], name: str, names: dict[str, JobFile]) -> Report:
    folder = name.removesuffix("report.json")
    html = f"{folder}report.html"
    charts = []
    for chart in told.get("charts", []):
        for where in (f"{folder}{chart['name']}", f"{folder}{chart['name']}.png"):
            if where in names:
                charts.append(Chart(where, chart.get("title", ""), chart.get("caption", "")))
                break
    tables = [
        Table(
            table.get("title", ""), table.get("columns", []), table.get("rows", []), table.get("caption", "")
        )
        for table in told.get("tables", [])
    ]
    return Report(told, html if html in names else "", name, charts, tables)


@dataclass(frozen=True)
class Mark:
    """A number beside ours. `at` is its place on the bar, in percent of its width."""

    value: float
    at: float
    words: str
    note: str = ""


@dataclass(frozen=True)
class MetricRow:
    """A metric with its bar: where the value, its interval, chance and what others published lie, in percent."""

    name: str
    words: str
    value: float
    low: float | None
    high: float | None
    count: int
    higher_is_better: bool
    at: float
    interval: tuple[float, float] | None
    chance: Mark | None
    published: list[Mark]


def metric_rows(metrics: dict[str, Any]) -> list[tuple[str, str, list[MetricRow]]]:
    """All metrics under their headings, in the order of reading: heading, what it is about, rows."""
    rows: dict[int, list[MetricRow]] = {}
    for name in in_order(metrics):
        rows.setdefault(metric_group(name), []).append(_metric_row(name, metrics[name]))
    return [
        (said(title), said(about), rows[number])
        for number, (title, about, _) in enumerate(METRIC_GROUPS)
        if number in rows
    ]


def _metric_row(name: str, told: dict[str, Any]) -> MetricRow:
    value: float = told["value"]
    low, high, chance = (told.get(key) for key in ("low", "high", "chance"))
    published = [one for one in told.get("published") or [] if one.get("value") is not None]
    known = [x for x in (value, low, high, chance, *(one["value"] for one in published)) if x is not None]
    # Shares lie on a scale from 0 to 1; everything else on one from 0 (or below it) to a bit over the largest.
    smallest: float = min(0.0, *known)
    largest: float = 1.0 if max(known) <= 1 and smallest == 0.0 else max(known) * 1.1 or 1.0
    width: float = (largest - smallest) or 1.0

    def place(x: float) -> float:
        return round(100 * (x - smallest) / width, 2)

    return MetricRow(
        name=name,
        words=metric_title(name),
        value=value,
        low=low,
        high=high,
        count=told.get("count") or 0,
        higher_is_better=told.get("better") != "lower",
        at=place(value),
        interval=(place(low), place(high)) if low is not None and high is not None else None,
        chance=Mark(chance, place(chance), phrase("chance")) if chance is not None else None,
        published=[
            Mark(one["value"], place(one["value"]), str(one.get("whose", "")), str(one.get("note") or ""))
            for one in published
        ],
    )
