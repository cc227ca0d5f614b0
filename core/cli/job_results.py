"""`voicesketch jobs download|items|results|files`: what a job has so far."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from core.cli.connection import AsJson, Data, Token, Url, connect
from core.cli.endings import Ending, end, told
from core.cli.one_job import FailedOf, JobId, StateFilter, found

app = typer.Typer()

Starred = Annotated[bool, typer.Option("--favourites", help="Only what somebody starred.")]


class Form(StrEnum):
    CSV = "csv"
    JSONL = "jsonl"
    PARQUET = "parquet"
    ERRORS = "errors"
    ZIP = "zip"
    PDF = "pdf"


@app.command()
def download(
    job_id: JobId,
    out: Annotated[Path, typer.Option(help="Folder for the results.", metavar="DIR", show_default=False)],
    as_json: AsJson = False,
    data: Data = None,
    url: Url = None,
    token: Token = None,
) -> None:
    """Fetch faces, results.csv and contact_sheet.png; while the job runs, as far as it is."""
    with told():
        from core.cli.showing import print_json
        from core.progress import make_progress
        from core.submitting.submission import download as fetch

        client = connect(url, token, data)
        with make_progress() as progress:
            got = fetch(client, found(client, job_id), out, progress=progress)
        if as_json:
            print_json({**asdict(got), "out": str(got.out)})
        else:
            more = f", {got.unfinished} still to come" if got.unfinished else ""
            typer.echo(f"{got.faces} faces in {out} ({got.fetched} fetched now), {got.failed} failed{more}.")
        if got.failed:
            end(Ending.SOME_FAILED)


@app.command()
def items(
    job_id: JobId,
    state: StateFilter = None,
    code: FailedOf = None,
    favourites: Starred = False,
    as_json: AsJson = False,
    data: Data = None,
    url: Url = None,
    token: Token = None,
) -> None:
    """Every recording of a job: its id, its state, its key, and why it failed. JSON comes as a line for each."""
    with told():
        import json

        from core.cli.showing import one_line

        client = connect(url, token, data)
        job = found(client, job_id)
        for one in client.items(job, state=state, error_code=code, favourites=favourites or None):
            if as_json:
                typer.echo(json.dumps(dict(one.raw)))
            else:
                why = f"  {one.error_code}: {one.error_message}" if one.error_code else ""
                typer.echo(one_line(f"{one.id}  {one.state.value:<9} {one.key}{why}"))


@app.command()
def results(
    job_id: JobId,
    form: Annotated[Form, typer.Option("--as", help="Which form of them.")] = Form.CSV,
    out: Annotated[
        Path | None, typer.Option(help="A file; standard output otherwise.", metavar="FILE")
    ] = None,
    favourites: Starred = False,
    as_json: AsJson = False,
    data: Data = None,
    url: Url = None,
    token: Token = None,
) -> None:
    """The table of a job, its errors, or all faces as one file; --json stands for --as jsonl."""
    with told():
        from core.errors import InvalidRequest

        client = connect(url, token, data)
        job = found(client, job_id)
        narrowed = favourites or None
        wanted = Form.JSONL if as_json else form
        if out is None and wanted in (Form.PARQUET, Form.ZIP, Form.PDF) and sys.stdout.isatty():
            raise InvalidRequest(f"A {wanted.value} is nothing to read here; say where it goes: --out FILE.")
        if favourites and wanted not in (Form.ZIP, Form.PDF):
            raise InvalidRequest("--favourites goes with --as zip and --as pdf.")
        match wanted:
            case Form.CSV:
                pieces = client.stream_results(job)
            case Form.JSONL:
                pieces = client.stream_jsonl(job)
            case Form.PARQUET:
                pieces = client.stream_parquet(job)
            case Form.ERRORS:
                pieces = client.stream_errors(job)
            case Form.ZIP:
                pieces = client.stream_zip(job, favourites=narrowed)
            case Form.PDF:
                pieces = client.stream_contact_sheets(job, favourites=narrowed)
        _write(pieces, out)


@app.command()
def files(
    job_id: JobId,
    kind: Annotated[
        str | None, typer.Option(help="Only these kinds, separated by commas.", metavar="KIND")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Fetch them all into this ZIP.", metavar="FILE.zip")
    ] = None,
    as_json: AsJson = False,
    data: Data = None,
    url: Url = None,
    token: Token = None,
) -> None:
    """What a training, evaluation or analysis left: curves, samples, checkpoints, the model, reports."""
    with told():
        from core.cli.showing import one_line, print_json, print_table, size

        client = connect(url, token, data)
        job = found(client, job_id)
        listed = client.job_files(job, kind=kind)
        if out is not None:
            _write(client.stream_job_files(job, kind=kind), out)
        if as_json:
            print_json(listed)
        elif listed:
            rows = [("FILE", "KIND", "SIZE")]
            rows += [
                (one_line(one["name"]), one_line(one["kind"]), size(one["size_bytes"])) for one in listed
            ]
            print_table(rows)
        else:
            typer.echo("There is no such file yet.")


def _write(pieces: Iterable[bytes], out: Path | None) -> None:
    """To standard output, or to a file that bears its name only when it is whole."""
    from core.errors import InvalidRequest

    if out is None:
        for piece in pieces:
            sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()
        return
    if out.is_dir():
        raise InvalidRequest(f"{str(out)!r} is a folder; name a file in it.")
    unfinished = out.with_name(f".{out.name}.{os.getpid()}.part")
    try:
        with unfinished.open("wb") as file:
            for piece in pieces:
                file.write(piece)
        unfinished.replace(out)
    except OSError as error:
        raise InvalidRequest(f"{out} cannot be written: {(error.strerror or str(error)).lower()}.") from error
    finally:
        unfinished.unlink(missing_ok=True)
