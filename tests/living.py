"""Whether a process still lives, as tests mean it."""

from __future__ import annotations

import psutil


def lives(pid: int) -> bool:
    """Not so a zombie: whether and when the machine's first process buries orphans is no concern of ours."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
