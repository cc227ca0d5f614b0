"""How a command becomes another program of ours, one that may load what `core` must not import.

It is run by way of this file, `python -m core.cli.becoming MODULE ARGUMENT...`: with Ctrl-C while a program still loads
its libraries, which takes a second, Python would print where it was.
"""

from __future__ import annotations

import os
import runpy
import sys
from collections.abc import Mapping, Sequence
from typing import NoReturn

INTERRUPTED = 130  # as `core.cli.endings` has it, whose libraries this does without


def become(module: str, arguments: Sequence[str], environ: Mapping[str, str] | None = None) -> NoReturn:
    """Runs `python -m MODULE ARGUMENT...` in the place of this program, which ends here.

    Args:
        environ: what it finds in its environment; what this program does, where left out.
    """
    given = dict(os.environ if environ is None else environ)
    # Else a file `random.py` or a folder `core` where somebody happens to be would be taken for Python's, or for ours.
    given["PYTHONSAFEPATH"] = "1"
    encoding = given.get("PYTHONIOENCODING", "").partition(":")[0]
    given["PYTHONIOENCODING"] = f"{encoding}:backslashreplace"  # as `core.cli.main` has it
    command = [sys.executable, "-m", "core.cli.becoming", module, *arguments]
    os.execve(sys.executable, command, given)  # noqa: S606 - no shell is wanted


def main() -> None:
    """Runs the module that the first argument names."""
    module = sys.argv.pop(1)
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except KeyboardInterrupt:
        os._exit(INTERRUPTED)  # at once: a program that has more to do when it is stopped sees to that itself


if __name__ == "__main__":
    main()
