"""`voicesketch jobs`: look at jobs, steer them, and fetch what they have."""

from __future__ import annotations

from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from core.cli.connection import AsJson, Data, Token, Url, connect
from core.cli.endings import Ending, end, told

if TYPE_CHECKING:
    from core.client import Client
    from core.client_views import JobView

app = typer.Typer(no_args_is_help=True, help="Look at jobs, steer them, and fetch what they have.")

JobId = Annotated[str, typer.Argument(help="Id of the job, or `last`.", metavar="JOB", show_default=False)]


class Which(StrEnum):
    FAILED = "failed"
    CANCELLED = "cancelled"
    UNFINISHED = "unfinished"


@app.command("list")
def list_jobs(
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most so many.")] = 20,
    state: Annotated[str | None, typer.Option(help="Only jobs in this state.", metavar="STATE")] = None,
    as_json: AsJson = False,
    data: Data = None,
    url: Url = None,
    token: Token = None,
) -> None:
    """The newest jobs."""
    with told():
        from core.cli.showing import print_jobs, print_json

        jobs = list(connect(url, token, data).jobs(limit=limit, state=state))
        if as_json:
            print_json([dict(job.raw) for job in jobs])
        else:
            print_jobs(jobs)


@app.command()
def show(
    job_id: JobId, as_json: AsJson = False, data: Data = None, url: Url = None, token: Token = None
) -> None:
    """One job: its state, counts and errors."""
    with told():
        client = connect(url, token, data)
        _show(client, client.job(_found(client, job_id)), as_json=as_json)


@app.command()
def watch(
    job_id: JobId, as_json: AsJson = False, data: Data = None, url: Url = None, token: Token = None
) -> None:
    """Follow a job until it has ended. Ctrl-C stops the watching, not the job."""
    with told():
        client = connect(url, token, data)
        _watch(client, _found(client, job_id), as_json=as_json)


@app.command()
def cancel(
    job_id: JobId, as_json: AsJson = False, data: Data = None, url: Url = None, token: Token = None
) -> None:
    """Stop a job; what is being drawn comes to an end, and faces that are there stay."""
    with told():
        client = connect(url, token, data)
        _show(client, client.cancel(_found(client, job_id)), as_json=as_json)


@app.command()
def pause(
    job_id: JobId, as_json: AsJson = False, data: Data = None, url: Url = None, token: Token = None
) -> None:
    """Let nobody claim from a job until it is resumed."""
    with told():
        client = connect(url, token, data)
        _show(client, client.pause(_found(client, job_id)), as_json=as_json)


@app.command()
def resume(
    job_id: JobId, as_json: AsJson = False, data: Data = None, url: Url = None, token: Token = None
) -> None:
    """Let a paused job go on."""
    with told():
        client = connect(url, token, data)
        _show(client, client.resume(_found(client, job_id)), as_json=as_json)


@app.command()
def retry(
    job_id: JobId,
    which: Annotated[Which, typer.Option(help="What to try again.")] = Which.FAILED,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until it has ended.")] = False,
    as_json: AsJson = False,
    data: Data = None,
    url: Url = None,
    token: Token = None,
) -> None:
    """Try again what failed or was cancelled; faces that are there are left alone."""
    with told():
        client = connect(url, token, data)
        retried, job = client.retry(_found(client, job_id), which.value)
        typer.echo(f"{retried} {'recordings' if job.kind == 'infer' else 'steps'} are tried again.", err=True)
        if wait:
            _watch(client, job.id, as_json=as_json)
        else:
            _show(client, job, as_json=as_json)


@app.command()
def again(
    job_id: JobId,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until it has ended.")] = False,
    as_json: AsJson = False,
    data: Data = None,
    url: Url = None,
    token: Token = None,
) -> None:
    """Start a training, evaluation or analysis over, as a new job; `retry` goes on where it stopped."""
    with told():
        import uuid

        client = connect(url, token, data)
        job = client.again(_found(client, job_id), idempotency_key=uuid.uuid4().hex)
        if wait:
            _watch(client, job.id, as_json=as_json)
        else:
            _show(client, job, as_json=as_json)


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
        from core.submission import download as fetch

        client = connect(url, token, data)
        with make_progress() as progress:
            got = fetch(client, _found(client, job_id), out, progress=progress)
        if as_json:
            print_json({**asdict(got), "out": str(got.out)})
        else:
            more = f", {got.unfinished} still to come" if got.unfinished else ""
            typer.echo(f"{got.faces} faces in {out} ({got.fetched} fetched now), {got.failed} failed{more}.")
        if got.failed:
            end(Ending.SOME_FAILED)


def _found(client: Client, job_id: str) -> str:
    """The id itself, or that of the newest job for `last`."""
    if job_id != "last":
        return job_id
    from core.errors import NotFound

    for job in client.jobs(limit=1):
        return job.id
    raise NotFound("There is no job yet. Make one: voicesketch submit FOLDER")


def _watch(client: Client, job_id: str, *, as_json: bool) -> None:
    from core.progress import make_progress
    from core.specs import PROGRAM_KINDS
    from core.submission import how_it_goes_on, wait

    if client.job(job_id).kind in PROGRAM_KINDS:
        from core.cli.programs import watch as watch_program

        watch_program(client, job_id, as_json=as_json)
        return
    with make_progress() as progress:
        try:
            job = wait(client, job_id, progress=progress)
        except KeyboardInterrupt:
            progress.note(how_it_goes_on(job_id))
            raise
    _show(client, job, as_json=as_json)
    if job.with_face != job.total:
        end(Ending.SOME_FAILED)


def _show(client: Client, job: JobView, *, as_json: bool) -> None:
    from core.specs import PROGRAM_KINDS

    if job.kind in PROGRAM_KINDS:
        from core.cli.programs import show as show_program

        show_program(client, job, as_json=as_json)
        return
    from core.cli.showing import print_job, print_json

    if as_json:
        print_json(dict(job.raw))
    else:
        print_job(job)
