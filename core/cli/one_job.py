"""What commands about one job have in common: naming it, following it to its end, showing it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from core.cli.endings import Ending, end

if TYPE_CHECKING:
    from core.client import Client
    from core.client_views import JobView

JobId = Annotated[str, typer.Argument(help="Id of the job, or `last`.", metavar="JOB", show_default=False)]
Wait = Annotated[bool, typer.Option("--wait", help="Wait until it has ended.")]
FailedOf = Annotated[
    str | None, typer.Option("--code", help="Only what failed of this, such as no_speech.", metavar="CODE")
]
OnlyItems = Annotated[
    list[int] | None,
    typer.Option(
        "--item", min=0, help="Only this one, by the id that `items` shows; may be repeated.", metavar="ID"
    ),
]
StateFilter = Annotated[
    str | None, typer.Option(help="Only these states, separated by commas.", metavar="STATE")
]


def found(client: Client, job_id: str) -> str:
    """The id itself, or that of the newest job for `last`."""
    if job_id != "last":
        return job_id
    from core.errors import NotFound

    for job in client.jobs(limit=1):
        return job.id
    raise NotFound("There is no job yet. Make one: voicesketch submit FOLDER")


def show_or_watch(client: Client, job: JobView, *, wait: bool, as_json: bool) -> None:
    if wait:
        watch_job(client, job.id, as_json=as_json)
    else:
        show_job(client, job, as_json=as_json)


def watch_job(client: Client, job_id: str, *, as_json: bool) -> None:
    """Ends the command with 1 unless everything of the job was done."""
    from core.progress import make_progress
    from core.specs import PROGRAM_KINDS
    from core.submitting.submission import how_it_goes_on, wait

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
    show_job(client, job, as_json=as_json)
    if job.with_face != job.total:
        end(Ending.SOME_FAILED)


def show_job(client: Client, job: JobView, *, as_json: bool) -> None:
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
