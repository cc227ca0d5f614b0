"""`voicesketch jobs`: find jobs and steer them. What else can be done with one is in the files beside this one."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from core.cli.connection import AsJson, Data, Token, Url, connect
from core.cli.endings import told
from core.cli.job_again import app as again_commands
from core.cli.job_news import app as news_commands
from core.cli.job_results import app as result_commands
from core.cli.one_job import JobId, StateFilter, found, show_job, watch_job

if TYPE_CHECKING:
    from core.client_views import JobView

app = typer.Typer(no_args_is_help=True, help="Look at jobs, steer them, and fetch what they have.")


class Sort(StrEnum):
    NEWEST = "newest"
    OLDEST = "oldest"
    NAME = "name"
    LARGEST = "largest"
    PRIORITY = "priority"


@app.command("list")
def list_jobs(
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most so many.")] = 20,
    state: StateFilter = None,
    kind: Annotated[
        str | None, typer.Option(help="Only these kinds, separated by commas.", metavar="KIND")
    ] = None,
    search: Annotated[
        str | None,
        typer.Option(help="Part of a name or a label, or the beginning of an id.", metavar="TEXT"),
    ] = None,
    owner: Annotated[str | None, typer.Option(help="Only jobs of this user.", metavar="NAME")] = None,
    model: Annotated[str | None, typer.Option(help="Only jobs of this model.", metavar="MODEL")] = None,
    label: Annotated[
        str | None, typer.Option(help="Only jobs with this label.", metavar="NAME=VALUE")
    ] = None,
    since: Annotated[
        str | None, typer.Option(help="Only jobs made then or later, in ISO 8601.", metavar="TIME")
    ] = None,
    sort: Annotated[Sort, typer.Option(help="In which order.")] = Sort.NEWEST,
    as_json: AsJson = False,
    data: Data = None,
    url: Url = None,
    token: Token = None,
) -> None:
    """The newest jobs, or those that are asked for."""
    with told():
        from core.cli.showing import print_jobs, print_json

        narrowing = {
            "state": state,
            "kind": kind,
            "search": search,
            "owner": owner,
            "model": model,
            "label": label,
            "since": since,
        }
        order = None if sort is Sort.NEWEST else sort.value
        jobs = list(connect(url, token, data).jobs(limit=limit, sort=order, **narrowing))
        if as_json:
            print_json([dict(job.raw) for job in jobs])
        else:
            print_jobs(jobs, narrowed=any(narrowing.values()))


@app.command()
def show(
    job_id: JobId, as_json: AsJson = False, data: Data = None, url: Url = None, token: Token = None
) -> None:
    """One job: its state, counts and errors."""
    _steer("job", job_id, as_json, (url, token, data))


@app.command()
def watch(
    job_id: JobId, as_json: AsJson = False, data: Data = None, url: Url = None, token: Token = None
) -> None:
    """Follow a job until it has ended. Ctrl-C stops the watching, not the job."""
    with told():
        client = connect(url, token, data)
        watch_job(client, found(client, job_id), as_json=as_json)


@app.command()
def cancel(
    job_id: JobId, as_json: AsJson = False, data: Data = None, url: Url = None, token: Token = None
) -> None:
    """Stop a job; what is being drawn comes to an end, and faces that are there stay."""
    _steer("cancel", job_id, as_json, (url, token, data))


@app.command()
def pause(
    job_id: JobId, as_json: AsJson = False, data: Data = None, url: Url = None, token: Token = None
) -> None:
    """Let nobody claim from a job until it is resumed."""
    _steer("pause", job_id, as_json, (url, token, data))


@app.command()
def resume(
    job_id: JobId, as_json: AsJson = False, data: Data = None, url: Url = None, token: Token = None
) -> None:
    """Let a paused job go on."""
    _steer("resume", job_id, as_json, (url, token, data))


@app.command(context_settings={"ignore_unknown_options": True})  # so that -5 is a number and no option
def priority(
    job_id: JobId,
    value: Annotated[
        int,
        typer.Argument(
            metavar="N", min=-100, max=100, help="Higher ones are claimed first.", show_default=False
        ),
    ],
    as_json: AsJson = False,
    data: Data = None,
    url: Url = None,
    token: Token = None,
) -> None:
    """Change when a job has its turn."""
    _steer("set_priority", job_id, as_json, (url, token, data), value)


def _steer(what: str, job_id: str, as_json: bool, place: tuple[Any, Any, Any], *more: int) -> None:
    with told():
        client = connect(*place)
        job: JobView = getattr(client, what)(found(client, job_id), *more)
        show_job(client, job, as_json=as_json)


for _commands in (again_commands, result_commands, news_commands):
    app.add_typer(_commands)
