"""How commands end: the exit codes that scripts depend on, and one sentence for whatever went wrong."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import IntEnum

import typer

# What writing to standard output may meet: a full disk, a limit, a terminal or a file that is gone.
_OF_OUTPUT = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF})


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
        # Whoever read our output, such as `head`, has enough.
        forget_output()
        end(Ending.ALL_DONE)
    except OSError as error:
        if error.filename is None:
            if error.errno not in _OF_OUTPUT:
                raise
            forget_output()
        end(Ending.WRONG_USAGE, _of_a_file(error))
    except Exception as error:
        sentence = _of_the_ledger(error)
        if sentence is None:
            raise
        end(Ending.UNREACHABLE, sentence)


def forget_output() -> None:
    """What is still to be printed goes nowhere: Python would complain once more while it leaves."""
    with suppress(OSError, ValueError, AttributeError):  # closed, or none of the operating system's
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _of_a_file(error: OSError) -> str:
    """What this machine refused: a full disk, missing rights, a name that is too long."""
    reason = (error.strerror or str(error)).lower()
    if error.filename is None:
        return f"The output cannot be written: {reason}."
    name = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else str(error.filename)
    return f"{name!r} cannot be used: {reason}."


def _of_the_ledger(error: Exception) -> str | None:
    """A sentence where a database refused; None where it was none."""
    # Not imported: most commands never load it, and then it was none.
    sqlalchemy = sys.modules.get("sqlalchemy.exc")
    if sqlalchemy is None:
        return None
    if isinstance(error, sqlalchemy.ArgumentError) and "URL" in str(error):
        return "VOICESKETCH_DATABASE_URL is no address of a database, such as postgresql://user:password@host/name."
    if not isinstance(error, sqlalchemy.DBAPIError):
        return None
    lines = str(error.orig).strip().splitlines() or ["no reason was given"]
    return (
        f"The ledger cannot be used: {lines[0].strip().rstrip('.')}. What is wrong there: voicesketch doctor"
    )


def end(code: Ending, sentence: str = "") -> None:
    """Ends the command."""
    if sentence:
        typer.echo(sentence, err=True)
    raise typer.Exit(int(code))
