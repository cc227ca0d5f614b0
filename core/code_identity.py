"""Which code a process runs, in a few characters: processes of one place should run the same."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent
_SHOWN = 8


@cache
def code_name() -> str:
    """The version, and the beginning of a hash of the sources that every process has: `0.1.0+1a2b3c4d`."""
    digest = hashlib.sha256()
    for path in sorted(_PACKAGE.rglob("*.py")):
        digest.update(f"{path.relative_to(_PACKAGE).as_posix()}\n".encode())
        digest.update(path.read_bytes())
    try:
        number = version("voicesketch")
    except PackageNotFoundError:
        number = "0"
    return f"{number}+{digest.hexdigest()[:_SHOWN]}"
