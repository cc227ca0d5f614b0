"""How a command becomes another program of ours, one that may load what `core` must not import."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from typing import NoReturn


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
    os.execve(sys.executable, [sys.executable, "-m", module, *arguments], given)  # noqa: S606 - no shell is wanted
