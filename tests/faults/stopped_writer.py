"""A process that is stopped in the middle of a write to an SQLite ledger, and so keeps its lock."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

_WRITES = """
import sys, time
import pysqlite3.dbapi2 as sqlite
ledger = sqlite.connect(sys.argv[1], isolation_level=None, timeout=60)
ledger.execute("BEGIN IMMEDIATE")
print("it writes", flush=True)
time.sleep(3600)
"""


@contextmanager
def stopped_in_the_middle_of_a_write(ledger: Path) -> Iterator[int]:
    """Answers its number; at the end of the block it is killed, as the page of health advises."""
    writer = subprocess.Popen([sys.executable, "-c", _WRITES, str(ledger)], stdout=subprocess.PIPE)
    try:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"it writes\n"
        os.kill(writer.pid, signal.SIGSTOP)
        while psutil.Process(writer.pid).status() != psutil.STATUS_STOPPED:
            time.sleep(0.01)
        yield writer.pid
    finally:
        writer.kill()
        writer.communicate()
