"""How commands end: the exit codes that scripts depend on, and one sentence for whatever went wrong."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum

import typer


class Ending(IntEnum):
    ALL_DONE = 0
    SOME_FAILED = 1
    WRONG_USAGE = 2
    UNREACHABLE = 3
    INTERRUPTED = 130  # what shells say of a program that Ctrl-C stopped


@contextmanager
def told() -> Iterator[None]:
    """Turns our errors into a sentence on standard error and an exit code; a traceback is for bugs only."""
    # Imported here: `voicesketch --help` needs none of it.
    from core.errors import Retryable, VoicesketchError

    try:
        yield
    except Retryable as error:
        end(Ending.UNREACHABLE, error.message)
    except VoicesketchError as error:
        end(Ending.WRONG_USAGE, error.message)
    except KeyboardInterrupt:
        end(Ending.INTERRUPTED)
    except BrokenPipeError:
        # Whoever read our output, such as `head`, has enough; Python would complain once more while it leaves.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        end(Ending.ALL_DONE)


def end(code: Ending, sentence: str = "") -> None:
    """Ends the command."""
    if sentence:
        typer.echo(sentence, err=True)
    raise typer.Exit(int(code))
