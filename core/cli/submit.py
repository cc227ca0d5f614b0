"""`voicesketch submit`: recordings in, a job out, and, for those who wait, faces."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from core.cli.connection import AsJson, Data, Token, Url, connect
from core.cli.endings import Ending, end, told

if TYPE_CHECKING:
    from core.client import Client
    from core.submission import SubmitResult

app = typer.Typer()


@app.command()
def submit(
    paths: Annotated[
        list[Path],
        typer.Argument(
            help="Folders, files, or a manifest (.csv, .jsonl).", metavar="PATH...", show_default=False
        ),
    ],
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
        labels = _labels(label or [])
        client = connect(url, token, data)
        if wait or out:
            from core.submission import submit_and_wait

            result = submit_and_wait(
                client,
                paths,
                out,
                model=model,
                name=name,
                priority=priority,
                seed=seed,
                labels=labels,
                progress=True,
            )
        else:
            result = _submit_only(
                client, paths, model=model, name=name, priority=priority, seed=seed, labels=labels
            )
        _show(result, as_json=as_json, waited=wait or out is not None)


def _labels(given: list[str]) -> dict[str, str]:
    from core.errors import InvalidRequest

    labels = {}
    for one in given:
        name, sign, value = one.partition("=")
        if not sign or not name.strip():
            raise InvalidRequest(f"--label takes NAME=VALUE, and not {one!r}.")
        labels[name] = value
    return labels


def _submit_only(
    client: Client,
    paths: list[Path],
    *,
    model: str | None,
    name: str | None,
    priority: int,
    seed: int,
    labels: dict[str, str],
) -> SubmitResult:
    from core.progress import make_progress
    from core.submission import result_of
    from core.submission import submit as send

    with make_progress() as progress:
        job, intake = send(
            client,
            paths,
            model=model,
            name=name,
            priority=priority,
            seed=seed,
            labels=labels,
            progress=progress,
        )
    return result_of(job, left_out=intake.left_out)


def _show(result: SubmitResult, *, as_json: bool, waited: bool) -> None:
    from core.cli.showing import print_json, print_result

    if as_json:
        print_json(result.as_json())
    elif waited:
        print_result(result)
    else:
        typer.echo(f"{result.total} recordings submitted. Watch it: voicesketch jobs watch {result.job_id}")
    if waited and not result.all_done:
        end(Ending.SOME_FAILED)
