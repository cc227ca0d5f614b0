"""`voicesketch erase`: deletes everything that somebody gave and all that came of it."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from core.cli.connection import AsJson, Data, Token, Url, connect
from core.cli.endings import Ending, end, told

app = typer.Typer()

_PATIENCE_SECONDS = 300.0


@app.command()
def erase(
    user: Annotated[
        str | None, typer.Argument(help="Yourself when left out; others are for admins.", show_default=False)
    ] = None,
    yes: Annotated[
        bool, typer.Option("--yes", help="Delete for good. Without it, only tell what would go.")
    ] = False,
    as_json: AsJson = False,
    data: Data = None,
    url: Url = None,
    token: Token = None,
) -> None:
    """Delete all recordings, faces and jobs of somebody."""
    with told():
        from core.cli.showing import one_line, print_json

        client = connect(url, token, data)
        found = client.erase(user)
        if yes:
            name, until = found["user"], time.monotonic() + _PATIENCE_SECONDS
            found = client.erase(user, dry_run=False, confirm=name)
            while not found["finished"] and time.monotonic() < until:
                if found["waiting"]:
                    time.sleep(1)  # workers let go of cancelled jobs between two batches
                more = client.erase(user, dry_run=False, confirm=name)
                more["counts"] = {
                    what: count + more["counts"][what] for what, count in found["counts"].items()
                }
                # Models trained with recordings are known only as long as those are there.
                more["left"] = list(dict.fromkeys([*found["left"], *more["left"]]))
                found = more
        if as_json:
            print_json(found)
        else:
            verb = "Deleted" if yes else "Would delete"
            told_counts = ", ".join(f"{count:,} {what}" for what, count in found["counts"].items())
            typer.echo(f"{verb} of {one_line(found['user'])}: {told_counts}.")
            for one in found["left"]:
                typer.echo(f"Not touched: {one_line(one)}.")
            if not yes:
                typer.echo("Add --yes to delete it for good.")
    if yes and not found["finished"]:
        end(Ending.SOME_FAILED, "Some jobs are still at work; run it again.")
