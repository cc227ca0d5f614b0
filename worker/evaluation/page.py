"""Reports as one HTML file that needs nothing else: pictures within, light and dark, and good on paper."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from core.models.metric_words import METRIC_GROUPS, metric_group, metric_words
from worker.evaluation.charts import Chart
from worker.evaluation.findings import Findings
from worker.evaluation.words import format_of, in_reading_order, written
from worker.ml.metrics.measure import Measure

BAR_WIDTH, BAR_HEIGHT = 190, 18
_STYLE = """
:root { color-scheme: light dark; --paper: #fbfaf8; --card: #ffffff; --ink: #21252b; --soft: #5f646b;
  --line: #e4e1da; --first: #2f6f7e; --second: #c07f3a; --mark: #8a8fa3; --warn: #f6ecd9; }
@media (prefers-color-scheme: dark) { :root { --paper: #101316; --card: #16191d; --ink: #e8e6e1;
  --soft: #a3a8b0; --line: #343941; --first: #62b3c2; --second: #e0a566; --warn: #2c2618; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); line-height: 1.5;
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
main { max-width: 980px; margin: 0 auto; padding: 28px 20px 60px; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 4px; overflow-wrap: anywhere; }
h2 { font-size: 1.2rem; margin: 40px 0 4px; }
p { margin: 6px 0; max-width: 72ch; }
.soft { color: var(--soft); }
.guess { background: var(--warn); border-radius: 8px; padding: 10px 14px; margin: 16px 0; max-width: none; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(205px, 1fr)); gap: 12px; margin: 18px 0; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 14px 16px; }
.card b { display: block; font-size: 1.6rem; line-height: 1.25; font-variant-numeric: tabular-nums; }
.card span { display: block; font-size: .86rem; color: var(--soft); }
.frame { overflow-x: auto; background: var(--card); border: 1px solid var(--line); border-radius: 10px;
  margin: 12px 0; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; }
th, td { text-align: left; padding: 7px 12px; border-top: 1px solid var(--line); vertical-align: top; }
thead th { border-top: 0; font-weight: 600; color: var(--soft); white-space: nowrap; }
tbody th { font-weight: 500; }
tbody th small { display: block; color: var(--soft); font-weight: 400; }
td.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
th.n { text-align: right; } h3 { font-size: 1rem; margin: 22px 0 0; }
.others { max-width: 190px; } .others span { white-space: nowrap; margin-right: 4px; }
sup { line-height: 0; } sup a { text-decoration: none; }
svg { display: block; } .track { stroke: var(--line); stroke-width: 2; }
.range { stroke: var(--first); stroke-width: 6; stroke-linecap: round; opacity: .45; }
.at { fill: var(--first); } .chance { stroke: var(--ink); stroke-width: 1.5; }
.other { fill: none; stroke: var(--mark); stroke-width: 1.4; }
figure { margin: 18px 0; } figcaption { color: var(--soft); font-size: .88rem; max-width: 76ch; }
figure > picture img { width: 100%; height: auto; border: 1px solid var(--line); border-radius: 10px; display: block; }
.faces { display: grid; grid-template-columns: repeat(auto-fill, minmax(215px, 1fr)); gap: 14px; margin: 14px 0; }
.faces figure { margin: 0; } .faces .two { display: grid; grid-template-columns: 1fr 1fr; gap: 4px; }
.faces img { width: 100%; aspect-ratio: 1; border-radius: 6px; display: block; }
.faces figcaption { font-size: .82rem; overflow-wrap: anywhere; }
ol, ul.plain { padding-left: 1.3em; max-width: 80ch; } li { margin: 3px 0; }
.notes li { font-size: .92rem; } .small { font-size: .84rem; color: var(--soft); }
code { font-size: .86em; overflow-wrap: anywhere; } a { color: var(--first); }
@media print { :root { color-scheme: light; --paper: #fff; --card: #fff; --ink: #000; --soft: #444; --line: #ccc;
  --first: #2f6f7e; --second: #c07f3a; --warn: #f6ecd9; } main { max-width: none; padding: 0; }
  body { font-size: 10.5pt; } h2 { break-after: avoid; } figure, .card, tr, .faces figure { break-inside: avoid; }
  .frame { overflow: visible; } * { print-color-adjust: exact; -webkit-print-color-adjust: exact; } }
"""


@dataclass(frozen=True)
class Table:
    """A small table of a report, as in report.json."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    caption: str = ""


def page(title: str, under: str, guess: str, parts: Sequence[str]) -> str:
    """A whole page.

    Args:
        under: one line below the title.
        guess: what drawn faces are, said at the top.
        parts: HTML.
    """
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>\n<body><main>"
        f'<h1>{escape(title)}</h1><p class="soft">{escape(under)}</p><p class="guess">{escape(guess)}</p>\n'
        + "\n".join(parts)
        + "\n</main></body></html>\n"
    )


def card(title: str, value: str, below: str) -> str:
    """A number to be seen first."""
    return f'<div class="card"><span>{escape(title)}</span><b>{escape(value)}</b><span>{escape(below)}</span></div>'


def measures_part(findings: Findings, charts: Mapping[int, Sequence[Chart]]) -> str:
    """All measures in tables by group, and what others published below, each with its conditions.

    Args:
        charts: to stand below the table of a group, by its number.
    """
    footnotes: dict[tuple[str, str], int] = {}
    parts = []
    for number, (title, sentence, _) in enumerate(METRIC_GROUPS):
        names = in_reading_order(name for name in findings.measures if metric_group(name) == number)
        if not names:
            continue
        rows = {name: findings.measures[name] for name in names}
        chance = any(measure.chance is not None for measure in rows.values())
        published = any(measure.published for measure in rows.values())
        lines = "\n".join(
            _row(name, measure, footnotes, chance=chance, published=published)
            for name, measure in rows.items()
        )
        parts.append(
            f'<h2>{escape(title)}</h2><p class="soft">{escape(sentence)}</p><div class="frame"><table><thead><tr>'
            "<th>Measure</th><th class=n>Value</th><th>95&nbsp;% interval</th>"
            + ("<th class=n>Chance</th>" if chance else "")
            + "<th class=n>People</th>"
            + ("<th>Published for others</th>" if published else "")
            + f"</tr></thead><tbody>{lines}</tbody></table></div>"
        )
        parts += [chart_part(chart, 3) for chart in charts.get(number, ())]
    if footnotes:
        items = "".join(
            f'<li id="p{number}">{escape(whose)}: {escape(note)}.</li>'
            for (whose, note), number in footnotes.items()
        )
        parts.append(
            "<h2>Under which conditions others measured</h2><p>None of the published numbers was got on the data of "
            f'this report. They are a frame of reference, and no league table.</p><ol class="notes">{items}</ol>'
        )
    return "\n".join(parts)


def table_part(table: Table) -> str:
    """A small table."""
    head = "".join(
        f"<th{' class=n' if place else ''}>{escape(column)}</th>"
        for place, column in enumerate(table.columns)
    )
    rows = "".join(
        "<tr>"
        + "".join(
            f"<{'th' if place == 0 else 'td class=n'}>{escape(_cell(cell))}</{'th' if place == 0 else 'td'}>"
            for place, cell in enumerate(row)
        )
        + "</tr>"
        for row in table.rows
    )
    caption = f'<p class="soft">{escape(table.caption)}</p>' if table.caption else ""
    return (
        f'<h2>{escape(table.title)}</h2>{caption}<div class="frame"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def chart_part(chart: Chart, level: int = 2) -> str:
    """A chart, for light and dark pages, below a heading of a level."""
    return (
        f"<h{level}>{escape(chart.title)}</h{level}><figure><picture>"
        f'<source media="print" srcset="{png_uri(chart.light)}">'
        f'<source media="(prefers-color-scheme: dark)" srcset="{png_uri(chart.dark)}">'
        f'<img src="{png_uri(chart.light)}" alt="{escape(chart.title)}"></picture>'
        f"<figcaption>{escape(chart.caption)}</figcaption></figure>"
    )


def list_part(title: str, sentences: Sequence[str]) -> str:
    """Notes."""
    items = "".join(f"<li>{escape(sentence)}</li>" for sentence in sentences)
    return f'<h2>{escape(title)}</h2><ul class="plain notes">{items}</ul>'


def left_out_part(left_out: Mapping[str, str]) -> str:
    """What was not measured, by reason."""
    by_reason: dict[str, list[str]] = {}
    for name, reason in left_out.items():
        by_reason.setdefault(reason, []).append(name)
    items = "".join(
        f"<li>{', '.join(f'<code>{escape(name)}</code>' for name in names)}: {escape(reason)}</li>"
        for reason, names in by_reason.items()
    )
    return f'<h2>What was not measured</h2><ul class="plain notes">{items}</ul>' if items else ""


def png_uri(png: bytes) -> str:
    """A picture within the page."""
    return "data:image/png;base64," + base64.b64encode(png).decode()


def _row(
    name: str,
    measure: Measure,
    footnotes: dict[tuple[str, str], int],
    *,
    chance: bool,
    published: bool,
) -> str:
    words, endings = metric_words(name)
    details = [", ".join(endings)] if endings else []
    if "gallery" in measure.details:
        details.append(f"gallery of {measure.details['gallery']}")
    for key, before in (("features", "features: "), ("of_true_faces", "between true faces: ")):
        if key in measure.details:
            value = measure.details[key]
            details.append(before + (written(name, value) if isinstance(value, float) else str(value)))
    small = f"<small>{escape('; '.join(details))}</small>" if details else ""
    others = []
    for one in measure.published:
        number = footnotes.setdefault((one.whose, one.note), len(footnotes) + 1)
        others.append(
            f'<span title="{escape(one.whose)}">{escape(written(name, one.value))}'
            f'<sup><a href="#p{number}">{number}</a></sup></span>'
        )
    arrow = "higher is better" if measure.better == "higher" else "lower is better"
    guessing = "" if measure.chance is None else written(name, measure.chance)
    ends = ""
    if measure.low is not None and measure.high is not None:
        said = f"{written(name, measure.low)} to {written(name, measure.high)}"
        ends = f'<span class="small">{escape(said)}</span>'
    return (
        f'<tr><th scope="row" title="{escape(name)}; {arrow}">{escape(words)}{small}</th>'
        f'<td class="n">{escape(written(name, measure.value))}</td><td>{_bar(name, measure)}{ends}</td>'
        + (f'<td class="n">{escape(guessing)}</td>' if chance else "")
        + f'<td class="n">{measure.count:,}</td>'
        + (f'<td class="others">{" ".join(others)}</td>' if published else "")
        + "</tr>"
    )


def _bar(name: str, measure: Measure) -> str:
    """The interval as a picture: shares from 0 to 1, other numbers around everything that is marked."""
    marks = [one.value for one in measure.published]
    known = [measure.value, measure.low, measure.high, measure.chance, *marks]
    numbers = [one for one in known if one is not None]
    if measure.low is None or measure.high is None:
        return ""
    if format_of(name) == "share":
        first, last = 0.0, 1.0
    elif name.startswith("craniofacial"):
        first, last = -0.5, 1.0
    else:
        margin = max((max(numbers) - min(numbers)) * 0.08, 1e-9)
        first, last = min(0.0, min(numbers) - margin) if min(numbers) < 0 else 0.0, max(numbers) + margin

    def at(value: float) -> float:
        return round(6 + (BAR_WIDTH - 12) * (value - first) / (last - first), 1)

    middle = BAR_HEIGHT / 2
    others = "".join(f'<path class="other" d="M{at(mark)} {middle - 4}l4 4l-4 4l-4 -4z"/>' for mark in marks)
    chance = ""
    if measure.chance is not None:
        chance = f'<path class="chance" d="M{at(measure.chance)} 1v{BAR_HEIGHT - 2}"/>'
    return (
        f'<svg width="{BAR_WIDTH}" height="{BAR_HEIGHT}" role="img" aria-label="interval">'
        f'<line class="track" x1="4" x2="{BAR_WIDTH - 4}" y1="{middle}" y2="{middle}"/>'
        f'<line class="range" x1="{at(measure.low)}" x2="{at(measure.high)}" y1="{middle}" y2="{middle}"/>'
        f'{others}{chance}<circle class="at" cx="{at(measure.value)}" cy="{middle}" r="4.5"/></svg>'
    )


def _cell(cell: Any) -> str:
    return f"{cell:.4g}" if isinstance(cell, float) else str(cell)
