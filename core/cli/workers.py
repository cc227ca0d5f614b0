"""`voicesketch workers`: who works on what, and asking a worker to claim nothing more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from core.cli.connection import AsJson, Data, Token, Url, connect
from core.cli.endings import told

if TYPE_CHECKING:
    from core.client.answers import WorkerView

app = typer.Typer(no_args_is_help=True, help="Look at workers, drain them, and let them claim again.")

WorkerId = Annotated[str, typer.Argument(metavar="WORKER", show_default=False)]


@app.command("list")
def list_workers(as_json: AsJson = False, data: Data = None, url: Url = None, token: Token = None) -> None:
    """Workers that are there, and those that left within the hour."""
    with told():
        from core.cli.showing import one_line, print_json, print_table

        workers = connect(url, token, data).workers()
        if as_json:
            print_json(workers)
        elif not workers:
            typer.echo("No worker has reported yet.")
        else:
            rows = [("WORKER", "STATE", "QUEUE", "DEVICE", "HOLDS")]
            rows += [
                (one["id"], one["state"], one["queue"], one_line(one["device"]), _held(one))
                for one in workers
            ]
            print_table(rows)


@app.command()
def drain(
    worker: WorkerId, as_json: AsJson = False, data: Data = None, url: Url = None, token: Token = None
) -> None:
    """Let a worker finish its chunk and claim nothing more."""
    _steer(worker, "drain", as_json, connect_to=(url, token, data))


@app.command()
def undrain(
    worker: WorkerId, as_json: AsJson = False, data: Data = None, url: Url = None, token: Token = None
) -> None:
    """Let a drained worker claim again."""
    _steer(worker, "undrain", as_json, connect_to=(url, token, data))


def _steer(worker: str, action: str, as_json: bool, *, connect_to: tuple[Any, Any, Any]) -> None:
    with told():
        from core.cli.showing import print_json

        client = connect(*connect_to)
        found = client.drain(worker) if action == "drain" else client.undrain(worker)
        print_json(found) if as_json else typer.echo(f"{found['id']} is {found['state']}.")


def _held(worker: WorkerView) -> str:
    return ", ".join(f"{one['done']}/{one['items']} of {one['job']}" for one in worker["chunks"]) or "nothing"
