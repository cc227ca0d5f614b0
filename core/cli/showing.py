"""Jobs and models as the shell shows them: a table, a page about one, and the words after a job has ended."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import typer

from core.client_views import JobView, ModelView
from core.progress import describe
from core.submission import SubmitResult


def print_json(value: Any) -> None:
    """One document on standard output. ASCII only, so that every terminal and every pipe takes it."""
    typer.echo(json.dumps(value, indent=2))


def print_jobs(jobs: Sequence[JobView]) -> None:
    if not jobs:
        typer.echo("There is no job yet. Make one: voicesketch submit FOLDER")
        return
    rows = [("JOB", "STATE", "FACES", "FAILED", "CREATED", "NAME")]
    for job in jobs:
        failed = str(sum(error.count for error in job.errors) or job.raw["request_counts"]["failed"] or "")
        created = job.created_at[:16].replace("T", " ")
        rows.append(
            (job.id, job.state.value, f"{job.with_face}/{job.total}", failed, created, one_line(job.name))
        )
    _print_table(rows)


def print_job(job: JobView) -> None:
    typer.echo(f"{job.id}  {one_line(job.name)}")
    typer.echo(f"  {job.state.value}: {describe(job)}")
    typer.echo(f"  model {job.model}, {job.with_face} with a face, created {job.created_at}")
    print_errors(job)


def print_models(models: Sequence[ModelView]) -> None:
    rows = [("MODEL", "KIND", "SIZE", "CREATED", "ALIASES")]
    rows += [
        (
            one_line(model.label),
            one_line(model.kind),
            size(model.size_bytes),
            model.created_at[:16].replace("T", " "),
            one_line(", ".join(model.aliases)),
        )
        for model in models
    ]
    _print_table(rows)


def print_model(model: ModelView) -> None:
    also = f", also {', '.join(model.aliases)}" if model.aliases else ""
    typer.echo(one_line(f"{model.label}{also}"))
    typer.echo(one_line(f"  {model.kind}, {size(model.size_bytes)}, created {model.created_at}"))
    for file in model.files:
        typer.echo(one_line(f"  {file.name}  {size(file.size_bytes)}  sha256 {file.sha256}"))


def size(count: int) -> str:
    """Bytes as people say them."""
    return f"{count / 2**20:,.1f} MiB" if count >= 2**20 else f"{count / 2**10:,.1f} KiB"


def print_errors(job: JobView | SubmitResult) -> None:
    for error in job.errors:
        typer.echo(f"  {error.count} x {error.code}: {one_line(error.example)}")


def print_result(result: SubmitResult) -> None:
    """The last words of `submit`."""
    pace = f" in {result.seconds:.1f} s ({result.per_second:.2f}/s)" if result.seconds else ""
    typer.echo(f"{result.done} of {result.total} recordings have a face{pace}. Job {result.job_id}.")
    print_errors(result)
    if result.out is not None:
        typer.echo(f"Faces, results.csv and contact_sheet.png: {result.out}")


def _print_table(rows: Sequence[tuple[str, ...]]) -> None:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]) - 1)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row[:-1], widths, strict=True)]
        typer.echo("  ".join([*cells, row[-1]]).rstrip())


def one_line(text: str) -> str:
    """Names come from strangers: nothing in them may move a cursor or begin a new line."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)
