"""`voicesketch jobs retry|again|rerun`: what failed once more, or all of it in another way."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from core.cli.connection import AsJson, Data, Token, Url, connect
from core.cli.endings import told
from core.cli.one_job import FailedOf, JobId, OnlyItems, Wait, found, show_or_watch

app = typer.Typer()


class Which(StrEnum):
    FAILED = "failed"
    CANCELLED = "cancelled"
    UNFINISHED = "unfinished"


class Rerun(StrEnum):
    MISSING = "missing"
    FAILED = "failed"
    ALL = "all"


@app.command()
def retry(
    job_id: JobId,
    which: Annotated[Which, typer.Option(help="What to try again.")] = Which.FAILED,
    code: FailedOf = None,
    item: OnlyItems = None,
    wait: Wait = False,
    as_json: AsJson = False,
    data: Data = None,
    url: Url = None,
    token: Token = None,
) -> None:
    """Try again what failed or was cancelled; faces that are there are left alone."""
    with told():
        client = connect(url, token, data)
        retried, job = client.retry(found(client, job_id), which.value, items=item or None, error_code=code)
        typer.echo(f"{retried} {'recordings' if job.kind == 'infer' else 'steps'} are tried again.", err=True)
        show_or_watch(client, job, wait=wait, as_json=as_json)


@app.command()
def again(
    job_id: JobId,
    wait: Wait = False,
    as_json: AsJson = False,
    data: Data = None,
    url: Url = None,
    token: Token = None,
) -> None:
    """Start a training, evaluation or analysis over, as a new job; `retry` goes on where it stopped."""
    with told():
        import uuid

        client = connect(url, token, data)
        job = client.again(found(client, job_id), idempotency_key=uuid.uuid4().hex)
        show_or_watch(client, job, wait=wait, as_json=as_json)


@app.command()
def rerun(
    job_id: JobId,
    model: Annotated[str, typer.Option(help="NAME, NAME@VERSION or alias.", metavar="MODEL")] = "production",
    which: Annotated[
        Rerun,
        typer.Option(help="What the model has not drawn yet, what failed here, or every recording."),
    ] = Rerun.MISSING,
    code: FailedOf = None,
    item: OnlyItems = None,
    name: Annotated[str, typer.Option(help="What the new job is called.", show_default=False)] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say how many it would be.")] = False,
    wait: Wait = False,
    as_json: AsJson = False,
    data: Data = None,
    url: Url = None,
    token: Token = None,
) -> None:
    """Draw the recordings of a job with another model, as a new job."""
    with told():
        from core.cli.showing import one_line, print_json

        client = connect(url, token, data)
        planned = client.rerun(
            found(client, job_id),
            model=model,
            which=which.value,
            items=item or None,
            error_code=code,
            name=name,
            dry_run=dry_run,
        )
        if wait and planned["job"] is not None:
            show_or_watch(client, client.job(planned["job"]), wait=True, as_json=as_json)
        elif as_json:
            print_json(planned)
        else:
            known = f", {planned['known']:,} of them drawn before" if planned["known"] else ""
            words = "Nothing was made" if planned["job"] is None else f"Submitted as {planned['job']}"
            typer.echo(one_line(f"{planned['items']:,} recordings for {planned['model']}{known}. {words}."))
