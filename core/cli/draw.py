"""`voicesketch draw`: becomes `python -m worker.draw`, which knows the networks that `core` must not import."""

from __future__ import annotations

import typer

from core.cli.becoming import become

app = typer.Typer()


@app.command(
    # Everything, `--help` included, is for the program that takes over.
    add_help_option=False,
    context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
)
def draw(context: typer.Context) -> None:
    """Draw faces from recordings here and now, with no server at all."""
    become("worker.draw", context.args)
