"""The report of an analysis: pictures with captions, two numbers, and what does not apply."""

from __future__ import annotations

import json
from pathlib import Path

from worker.evaluation.analyses import Analysed
from worker.evaluation.outcome import GUESS
from worker.evaluation.page import chart_part, list_part, page, table_part
from worker.evaluation.report import PAGE, REPORT, versions
from worker.evaluation.subject import Subject
from worker.ml.dataset_reader import PreparedDataset


def write_analysis(
    folder: Path,
    analysed: Analysed,
    *,
    subject: Subject,
    model: str,
    dataset: PreparedDataset,
    dataset_name: str,
    split: str,
    seed: int,
) -> list[str]:
    """Write it; answers the names of the files."""
    folder.mkdir(parents=True, exist_ok=True)
    for chart in analysed.charts:
        (folder / chart.name).write_bytes(chart.light)
    notes = [GUESS, *analysed.notes]
    told = {
        "model": model,
        "model_version": subject.version,
        "weights_sha256": subject.weights_sha256,
        "dataset": dataset_name,
        "dataset_sha256": dataset.sha256,
        "split": split,
        "people": analysed.people,
        "seed": seed,
        "numbers": analysed.numbers,
        "left_out": analysed.not_applicable,
        "notes": notes,
        "charts": [{"name": one.name, "title": one.title, "caption": one.caption} for one in analysed.charts],
        "tables": [
            {"title": one.title, "columns": one.columns, "rows": one.rows, "caption": one.caption}
            for one in analysed.tables
        ],
        "versions": versions(),
    }
    under = (
        f"Dataset {dataset_name} ({dataset.sha256[:12]}…), {split} part: the first {analysed.people} people. "
        f"Seed {seed}."
    )
    parts = [chart_part(chart) for chart in analysed.charts]
    parts += [table_part(table) for table in analysed.tables]
    if analysed.not_applicable:
        parts.append(
            list_part(
                "What does not apply",
                [
                    f"{name.replace('_', ' ').capitalize()}: {reason}"
                    for name, reason in analysed.not_applicable.items()
                ],
            )
        )
    if analysed.notes:
        parts.append(list_part("How to read this", analysed.notes))
    title = f"What {subject.version} makes of {'voices' if subject.takes == 'voice' else 'faces'}"
    (folder / PAGE).write_text(page(title, under, GUESS, parts), encoding="utf-8")
    (folder / REPORT).write_text(json.dumps(told, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    return [*(chart.name for chart in analysed.charts), PAGE, REPORT]
