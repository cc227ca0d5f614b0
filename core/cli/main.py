"""`voicesketch`: the one console command.

A command's module is imported when that command is run, and not before: `voicesketch --help` should not wait for
boto3, and a shell script that calls `voicesketch jobs list` should not wait for the stack's code.
"""

from __future__ import annotations

import importlib
import io
import os
import sys
from dataclasses import dataclass
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from core.cli.endings import Ending

OLDEST_PYTHON = (3, 11)
LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True)
class Entry:
    """A command that is not imported yet. Its module has a Typer application named `app`."""

    module: str
    summary: str


COMMANDS = {
    "draw": Entry("core.cli.draw", "Draw faces from recordings here and now, with no server at all."),
    "up": Entry("core.cli.up", "Run everything on this machine; Ctrl-C stops it all."),
    "submit": Entry("core.cli.submit", "Submit recordings as one job."),
    "jobs": Entry("core.cli.jobs", "Look at jobs, steer them, and fetch what they have."),
    "prepare": Entry("core.cli.prepare", "Prepare a dataset of voices and faces, split by people."),
    "datasets": Entry("core.cli.datasets", "Look at prepared datasets, and fetch them."),
    "train": Entry("core.cli.train", "Train a model on a prepared dataset."),
    "evaluate": Entry("core.cli.evaluate", "Measure a model on a prepared dataset."),
    "analyse": Entry("core.cli.analyse", "Show what a model makes of the voice, and what of the noise."),
    "models": Entry("core.cli.models", "Look at models, bring in other people's weights, pair networks."),
    "collections": Entry("core.cli.collections", "Sets of recordings and pictures that grow."),
    "schedules": Entry("core.cli.schedules", "Retrain models by the clock, or when new pairs have arrived."),
    "convert": Entry("core.cli.convert", "Make model folders of weights from other frameworks."),
    "demo": Entry("core.cli.demo", "Start everything, draw a folder of recordings through the queue, stop."),
    "users": Entry("core.cli.users", "Add people; give them passwords, sign-in links and tokens."),
    "tokens": Entry("core.cli.tokens", "Your tokens for scripts, and what each may do at most."),
    "audit": Entry("core.cli.audit", "Show who changed what that others rely on, newest first."),
    "workers": Entry("core.cli.workers", "Look at workers, drain them, and let them claim again."),
    "queues": Entry("core.cli.queues", "Show what waits in each queue, and who serves it."),
    "storage": Entry("core.cli.storage", "Show how much is stored of each kind."),
    "retention": Entry(
        "core.cli.retention", "Say how long faces, recordings, checkpoints and logs are kept."
    ),
    "purge": Entry("core.cli.purge", "Remove what the rules of retention let go."),
    "erase": Entry("core.cli.erase", "Delete all recordings, faces and jobs of somebody."),
    "backup": Entry("core.cli.backup", "Write everything of a place into one file, while it works."),
    "restore": Entry("core.cli.restore", "Bring a backup back into an empty place."),
    "bench": Entry("core.cli.bench", "Measure how fast this machine draws, and what the queue costs."),
    "doctor": Entry(
        "core.cli.doctor",
        "Show versions, servers, devices, what runs and how it is, and what to do about what is wrong.",
    ),
}


class LazyGroup(TyperGroup):
    """A group that knows the names and summaries of its commands, and imports the one that is asked for."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        # Whoever mistypes one is told what is close to it; Typer looks for that here.
        self.commands = {name: self.get_command(None, name) for name in COMMANDS}

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """A stand-in that can be listed; `resolve_command` finds the real one."""
        entry = COMMANDS.get(cmd_name)
        return None if entry is None else TyperCommand(cmd_name, help=entry.summary)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        entry = COMMANDS.get(args[0])
        if entry is None:
            # Not one of ours: the group says so, and names what is close to it.
            return super().resolve_command(ctx, args)
        application = importlib.import_module(entry.module).app
        # Else every command would offer to install shell completion, which is not its business.
        application._add_completion = False
        command = get_command(application)
        command.name = args[0]
        return args[0], command, args[1:]


app = typer.Typer(
    cls=LazyGroup,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["--help", "-h"]},  # commands take it over from here
    help="Draws a plausible face from a recording of a voice. A face is a model's guess, never a likeness.",
)


def _tell_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"voicesketch {version('voicesketch')}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_tell_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """Without a callback, Typer would take the application for a single command."""


def main() -> None:
    if sys.version_info < OLDEST_PYTHON:
        version = ".".join(map(str, sys.version_info[:2]))
        sys.exit(f"voicesketch needs Python 3.11 or newer; this is Python {version}.")
    _print_whatever_comes()
    _leave_proxies_out_of_this_machine()
    try:
        app(prog_name="voicesketch")
    except SystemExit as ended:
        if ended.code == Ending.INTERRUPTED:
            _go_at_once()
        raise


def _print_whatever_comes() -> None:
    """Names come from strangers; a terminal that has no letter for one gets its number, and not a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # neither closed nor put in place by somebody else
            stream.reconfigure(errors="backslashreplace")


def _leave_proxies_out_of_this_machine() -> None:
    """What a stack on this machine is asked must not go to a company's proxy, by whichever library it is asked."""
    for name in ("NO_PROXY", "no_proxy"):
        os.environ[name] = ",".join(filter(None, [os.environ.get(name), *LOOPBACK]))


def _go_at_once() -> None:
    """After Ctrl-C: a thread that waits for an answer would hold the program for as long as it waits."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError, AttributeError):  # nobody reads it any more, or there is none
            continue
    os._exit(Ending.INTERRUPTED)


if __name__ == "__main__":
    main()
