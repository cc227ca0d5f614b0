"""`voicesketch up`: everything on this machine, in the foreground."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Annotated

import typer

from core.cli.endings import forget_output, told

app = typer.Typer()

Folder = Annotated[
    Path,
    typer.Option(
        help="Folder that keeps everything over restarts.", envvar="VOICESKETCH_DATA", metavar="DIR"
    ),
]


@app.command()
def up(
    data: Folder = Path("voicesketch-data"),
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port of the dashboard, on 127.0.0.1.")] = 8000,
) -> None:
    """Run everything on this machine; Ctrl-C stops it all."""
    with told():
        from core.stack.supervisor import run_stack

        run_stack(data, port, os.environ, _say)


def _say(line: str) -> None:
    try:
        typer.echo(line)
    except OSError as error:
        # `up | head`, or a terminal that was closed: what runs goes on, or ends in good order.
        if error.errno in (errno.EPIPE, errno.EIO):
            forget_output()
