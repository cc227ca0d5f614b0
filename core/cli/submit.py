"""`voicesketch submit`: recordings in, a job out, and, for those who wait, faces."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from core.cli.connection import AsJson, Data, Token, Url, connect
from core.cli.endings import Ending, end, told

if TYPE_CHECKING:
    from core.client import Client
    from core.submitting.submission import Order, SubmitResult

app = typer.Typer()


class Which(StrEnum):
    ALL = "all"
    FAILED = "failed"
    FACES = "faces"


@app.command()
def submit(
    paths: Annotated[
        list[str] | None,
        typer.Argument(
            help="Folders, files, manifests (.csv, .jsonl), archives (.zip), or s3://bucket/folder.",
            metavar="PATH...",
            show_default=False,
        ),
    ] = None,
    job: Annotated[
        str | None,
        typer.Option(help="Instead: the recordings of an earlier job, or of `last`.", metavar="JOB"),
    ] = None,
    which: Annotated[Which, typer.Option(help="Which of that job's recordings.")] = Which.ALL,
    model: Annotated[
        str | None, typer.Option(help="NAME, NAME@VERSION or alias.", show_default="production")
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="What the job is called.", show_default="the folder's name")
    ] = None,
    priority: Annotated[int, typer.Option(min=-100, max=100, help="Higher ones are claimed first.")] = 0,
    seed: Annotated[int, typer.Option(min=0, help="Of the noise, for models that take any.")] = 0,
    label: Annotated[
        list[str] | None, typer.Option(help="Your own words about it; may be repeated.", metavar="NAME=VALUE")
    ] = None,
    webhook: Annotated[
        str | None, typer.Option(help="Told of its end by a signed note.", metavar="ADDRESS")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be submitted, and how long it would take.")
    ] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until it has ended.")] = False,
    out: Annotated[
        Path | None, typer.Option(help="Wait, then write the results here.", metavar="DIR")
    ] = None,
    as_json: AsJson = False,
    data: Data = None,
    url: Url = None,
    token: Token = None,
) -> None:
    """Submit recordings as one job."""
    with told():
        given = paths or []
        labels = _labels(label or [])
        client = connect(url, token, data)
        order: Order = {
            "model": model,
            "name": name,
            "priority": priority,
            "seed": seed,
            "labels": labels,
            "webhook_url": webhook,
            "earlier": _found(client, job) if job else None,
            "which": which.value,
        }
        if dry_run:
            from core.submitting.submission import plan

            _show_plan(plan(client, given, **order), as_json=as_json)
            return
        if wait or out:
            from core.submitting.submission import submit_and_wait

            result = submit_and_wait(client, given, out, progress=True, **order)
        else:
            result = _submit_only(client, given, order)
        _show(result, as_json=as_json, waited=wait or out is not None)


def _found(client: Client, job: str) -> str:
    if job != "last":
        return job
    from core.errors import NotFound

    newest = next(iter(client.jobs(limit=1, kind="infer")), None)
    if newest is None:
        raise NotFound("There is no job yet whose recordings could be taken over.")
    return newest.id


def _labels(given: list[str]) -> dict[str, str]:
    from core.errors import InvalidRequest

    labels = {}
    for one in given:
        name, sign, value = one.partition("=")
        if not sign or not name.strip():
            raise InvalidRequest(f"--label takes NAME=VALUE, and not {one!r}.")
        labels[name] = value
    return labels


def _submit_only(client: Client, given: list[str], order: Order) -> SubmitResult:
    from dataclasses import replace

    from core.progress import make_progress
    from core.submitting.submission import result_of, secret_of
    from core.submitting.submission import submit as send

    with make_progress() as progress:
        job, batch = send(client, given, progress=progress, **order)
    return replace(result_of(job, left_out=batch.left_out), webhook_secret=secret_of(job))


def _show(result: SubmitResult, *, as_json: bool, waited: bool) -> None:
    from core.cli.showing import print_json, print_result

    if as_json:
        print_json(result.as_json())
    elif waited:
        print_result(result)
    else:
        from core.progress import several

        typer.echo(
            f"{several(result.total, 'recording')} submitted. Watch it: voicesketch jobs watch {result.job_id}"
        )
    if result.webhook_secret and not as_json:
        typer.echo(f"The secret that signs the note of its end, told this once: {result.webhook_secret}")
    if waited and not result.all_done:
        end(Ending.SOME_FAILED)


def _show_plan(planned: dict[str, Any], *, as_json: bool) -> None:
    from core.cli.showing import print_json, size
    from core.progress import several

    if as_json:
        print_json(planned)
        return
    more = "At least " if planned["more"] else ""
    bytes_given = f", {size(planned['bytes'])}" if planned["bytes"] is not None else ""
    typer.echo(f"{more}{several(planned['recordings'], 'recording')}{bytes_given}, with {planned['model']}.")
    if planned["left_out"]:
        typer.echo(f"{several(planned['left_out'], 'other file')} would be left out.")
    typer.echo(planned["estimate"])
    if planned["cost"]:
        typer.echo(planned["cost"]["sentence"])
    if planned["refused"]:
        typer.echo(f"It would be refused now. {planned['refused']}")
    typer.echo("Nothing was submitted.")
