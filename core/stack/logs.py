"""Keeps the children's logs from filling the disk."""

from __future__ import annotations

import shutil
from pathlib import Path

MOST_BYTES = 8 * 2**20


def trim(log: Path, most_bytes: int = MOST_BYTES) -> None:
    """Once a log is full, keeps it as `NAME.log.1` and starts it anew.

    The file is copied and emptied in place: the child holds it open, appending, and need not know. What it writes
    between the two steps is lost, which a log can bear.
    """
    try:
        if log.stat().st_size <= most_bytes:
            return
        shutil.copyfile(log, log.with_name(log.name + ".1"))
        with log.open("r+b") as file:
            file.truncate(0)
    except OSError:
        # A full disk must not bring the stack down for the sake of its logs; the next round tries again.
        return
