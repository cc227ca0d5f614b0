"""Who holds SQLite's lock for writing: one process at a time, and for good if it is stopped in the middle of a write.

SQLite locks a byte of the file beside the ledger, and Linux tells who holds which bytes of which file.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path

import psutil

_BYTE = 120  # SQLite's WAL_WRITE_LOCK in the file that ends with -shm
_LOCKS = Path("/proc/locks")
_STANDS_STILL = (psutil.STATUS_STOPPED, psutil.STATUS_TRACING_STOP)


@dataclass(frozen=True)
class Holder:
    """A process of this machine."""

    pid: int
    name: str
    stands_still: bool  # by SIGSTOP, Ctrl-Z or a debugger


def holder_of_write_lock(ledger: Path) -> Holder | None:
    """Who writes to an SQLite file at this moment; None if nobody does, or if nobody knows.

    Not known are processes of other containers, and any on systems without `/proc/locks`.
    """
    try:
        inode = ledger.with_name(ledger.name + "-shm").stat().st_ino
        lines = _LOCKS.read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        # 13: POSIX  ADVISORY  WRITE 16265 fe:00:2337475 120 120; who waits for a lock has an arrow after the number.
        fields = line.split()
        if fields[1] == "->" or fields[3] != "WRITE" or not fields[5].endswith(f":{inode}"):
            continue
        last = float("inf") if fields[7] == "EOF" else int(fields[7])
        if int(fields[6]) <= _BYTE <= last:
            with contextlib.suppress(psutil.Error):
                process = psutil.Process(int(fields[4]))
                return Holder(process.pid, process.name(), process.status() in _STANDS_STILL)
    return None
