"""Jobs as the shell shows them: a table, a page about one, and the words after a job has ended."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import typer

from core.client_views import JobView
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
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row[:5], widths, strict=True)]
        typer.echo("  ".join([*cells, row[5]]).rstrip())


def print_job(job: JobView) -> None:
    typer.echo(f"{job.id}  {one_line(job.name)}")
    typer.echo(f"  {job.state.value}: {describe(job)}")
    typer.echo(f"  model {job.model}, {job.with_face} with a face, created {job.created_at}")
    print_errors(job)


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


def one_line(text: str) -> str:
    """Names come from strangers: nothing in them may move a cursor or begin a new line."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)
