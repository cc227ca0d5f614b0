"""Jobs and datasets as the shell shows them: a table, a page about one, and the words after a job has ended."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import typer

from core.client_views import DatasetView, JobView
from core.progress import describe, duration
from core.submitting.submission import SubmitResult


def print_json(value: Any) -> None:
    """One document on standard output. ASCII only, so that every terminal and every pipe takes it."""
    typer.echo(json.dumps(value, indent=2))


def moment(at: str, *, seconds: bool = False) -> str:
    """A time as the service tells it, in the zone of this machine."""
    try:
        when = datetime.fromisoformat(at).astimezone()
    except ValueError:
        return one_line(at)
    return when.strftime("%Y-%m-%d %H:%M:%S" if seconds else "%Y-%m-%d %H:%M")


def print_jobs(jobs: Sequence[JobView], *, narrowed: bool = False) -> None:
    """Args:
    narrowed: only some jobs were asked for, so that none is no sign of there being none.
    """
    if not jobs:
        none = (
            "There is no such job."
            if narrowed
            else "There is no job yet. Make one: voicesketch submit FOLDER"
        )
        typer.echo(none)
        return
    rows = [("JOB", "STATE", "DONE", "FAILED", "CREATED", "NAME")]
    for job in jobs:
        failed = str(sum(error.count for error in job.errors) or job.raw["request_counts"]["failed"] or "")
        done = f"{job.with_face}/{job.total}"
        rows.append((job.id, job.state.value, done, failed, moment(job.created_at), one_line(job.name)))
    print_table(rows)


def print_job(job: JobView) -> None:
    typer.echo(f"{job.id}  {one_line(job.name)}")
    typer.echo(f"  {job.state.value}: {describe(job)}")
    if job.kind == "prepare":
        typer.echo(f"  dataset {job.dataset}, {job.with_face} steps done, created {moment(job.created_at)}")
    else:
        typer.echo(f"  model {job.model}, {job.with_face} with a face, created {moment(job.created_at)}")
    if cost := job.raw.get("cost"):
        typer.echo(f"  {cost['sentence']}")
    print_errors(job)


def print_datasets(datasets: Sequence[DatasetView]) -> None:
    if not datasets:
        typer.echo("There is no dataset yet. Make one: voicesketch prepare FOLDER")
        return
    rows = [("DATASET", "PEOPLE", "INPUTS", "LEFT OUT", "SPEECH", "SIZE", "CREATED")]
    rows += [
        (
            one_line(dataset.label),
            f"{dataset.summary.get('people', 0):,}",
            f"{dataset.summary.get('entries', 0):,}",
            f"{dataset.summary.get('rejected', 0):,}",
            duration(dataset.summary.get("seconds_of_speech", 0)),
            size(dataset.size_bytes),
            moment(dataset.created_at),
        )
        for dataset in datasets
    ]
    print_table(rows)


def print_dataset(dataset: DatasetView) -> None:
    summary = dataset.summary
    typer.echo(one_line(f"{dataset.label}  sha256 {dataset.sha256}"))
    typer.echo(
        one_line(f"  made by {dataset.job}, {size(dataset.size_bytes)}, created {moment(dataset.created_at)}")
    )
    typer.echo(
        f"  {summary.get('entries', 0):,} inputs of {summary.get('people', 0):,} people, "
        f"{duration(summary.get('seconds_of_speech', 0))} of speech"
    )
    _print_parts(summary.get("by_split", {}))
    for reason, count in summary.get("rejects", {}).items():
        typer.echo(one_line(f"  {count:,} left out: {reason}"))
    for file in dataset.files:
        typer.echo(one_line(f"  {file.name}  {size(file.size_bytes)}  sha256 {file.sha256}"))


def print_plan(counted: Mapping[str, Any]) -> None:
    """What `core.datasets.counts.count_plan` counted."""
    typer.echo(
        f"Layout {counted['layout']}: {counted['entries']:,} inputs of {counted['people']:,} people "
        f"in {counted['shards']:,} shards"
    )
    _print_parts(counted["by_split"])
    for reason, left in counted["left_out"].items():
        typer.echo(one_line(f"  {left['count']:,} left out: {reason}"))
        for one in left["examples"]:
            typer.echo(one_line(f"    {one['key']}: {one['message']}"))


def _print_parts(parts: Mapping[str, Mapping[str, int]]) -> None:
    for name, part in parts.items():
        typer.echo(
            one_line(
                f"  {name}: {part['people']:,} people, {part['voices']:,} voices, {part['faces']:,} faces"
            )
        )


def size(count: int) -> str:
    """Bytes as people say them."""
    return f"{count / 2**20:,.1f} MiB" if count >= 2**20 else f"{count / 2**10:,.1f} KiB"


def print_errors(job: JobView | SubmitResult) -> None:
    for error in job.errors:
        typer.echo(f"  {error.count} x {error.code}: {one_line(error.example)}")


def print_result(result: SubmitResult) -> None:
    """The last words of `submit`."""
    pace = f" in {result.seconds:.1f} s ({result.per_second:.2f}/s)" if result.seconds else ""
    typer.echo(f"{result.done} of {result.total} have a face{pace}. Job {result.job_id}.")
    print_errors(result)
    if result.out is not None:
        typer.echo(f"Faces, results.csv and contact_sheet.png: {result.out}")


def print_table(rows: Sequence[tuple[str, ...]]) -> None:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]) - 1)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row[:-1], widths, strict=True)]
        typer.echo("  ".join([*cells, row[-1]]).rstrip())


def one_line(text: str) -> str:
    """Names come from strangers: nothing in them may move a cursor or begin a new line."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)
