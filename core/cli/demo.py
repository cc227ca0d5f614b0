"""`voicesketch demo`: recordings in, faces out, through the real queue, from nothing and back to nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from core.cli.connection import AsJson
from core.cli.endings import Ending, end, told
from core.cli.up import Folder

if TYPE_CHECKING:
    from core.client import Client

app = typer.Typer()


@app.command()
def demo(
    recordings: Annotated[
        Path, typer.Option("--in", help="Folder of recordings, a file, or a manifest.", metavar="PATH")
    ] = Path("samples"),
    out: Annotated[Path, typer.Option("--out", help="Folder for the faces.", metavar="DIR")] = Path("faces"),
    data: Folder = Path("voicesketch-data"),
    as_json: AsJson = False,
) -> None:
    """Start everything, draw a folder of recordings through the queue, stop."""
    with told():
        from core.errors import InvalidRequest
        from core.submitting.result_folder import prepare_folder
        from core.submitting.submission import submit_and_wait

        # Said before anything is started.
        if not recordings.exists():
            raise InvalidRequest(f"There is nothing at {recordings}; name a folder of recordings with --in.")
        prepare_folder(out)
        with _service(data) as client:
            result = submit_and_wait(client, [recordings], out, progress=True)
        if as_json:
            from core.cli.showing import print_json

            print_json(result.as_json())
            if not result.all_done:
                end(Ending.SOME_FAILED)
            return
        rate = f", {result.per_second:.2f} per second" if result.per_second else ""
        typer.echo(f"{result.done} of {result.total} recordings have a face{rate}.")
        typer.echo(
            f"Faces: {out}   All on one page: {out / 'contact_sheet.png'}   Table: {out / 'results.csv'}"
        )
    if not result.all_done:
        end(Ending.SOME_FAILED)


@contextmanager
def _service(data: Path) -> Iterator[Client]:
    """A stack of our own while the block lasts, or the one that already runs on the folder."""
    from core.client import Client
    from core.service import find_service
    from core.stack.folder import DataFolder, is_locked
    from core.stack.launch import running_stack

    folder = DataFolder(data.absolute())
    if is_locked(folder):
        typer.echo(f"A stack already runs on {data}; it does the work and is left running.", err=True)
        yield find_service(data=data)
        return
    typer.echo(f"Starting broker, object store, worker and dashboard in {data} …", err=True)
    with running_stack(data, environ=os.environ) as stack:
        typer.echo(f"Ready; watch along: {stack.sign_in_link}", err=True)
        yield Client(stack.url, stack.token)
        typer.echo("Stopping …", err=True)
