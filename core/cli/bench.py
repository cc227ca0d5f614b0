"""`voicesketch bench`: becomes one of the measurements of a checkout, which an installed package does not have."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NoReturn

import typer

from core.cli.becoming import become
from core.cli.endings import Ending, end

app = typer.Typer(no_args_is_help=True, help="Measure this machine; needs a checkout of the repository.")

CHECKOUT = Path(__file__).resolve().parent.parent.parent
# Everything, `--help` included, is for the program that takes over.
_HANDED_ON = {"ignore_unknown_options": True, "allow_extra_args": True}


@app.command(add_help_option=False, context_settings=_HANDED_ON)
def infer(context: typer.Context) -> None:
    """How fast faces are drawn: each station alone, the whole, and what one would use instead."""
    _become("infer", context.args)


@app.command(add_help_option=False, context_settings=_HANDED_ON)
def queue(context: typer.Context) -> None:
    """What the queue itself costs, beside plain Celery."""
    _become("queue", context.args)


def _become(name: str, arguments: list[str]) -> NoReturn:
    if not (CHECKOUT / "benchmarks" / f"{name}.py").is_file():
        end(
            Ending.WRONG_USAGE,
            "Measurements are no part of the installed package. Clone the repository, run `make install-dev` in it, "
            f"and call `.venv/bin/voicesketch bench {name}` there.",
        )
    path = os.pathsep.join(filter(None, [str(CHECKOUT), os.environ.get("PYTHONPATH")]))
    become(f"benchmarks.{name}", arguments, {**os.environ, "PYTHONPATH": path})
