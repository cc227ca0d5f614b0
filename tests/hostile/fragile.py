"""`python -m tests.hostile.fragile …`: `worker.decoding` with a weakness of its own, for tests of what surrounds it.

No file that crashes today's libraries is at hand, and the next release would mend them. A file that holds one of these
words does to this process what such a file would do. Set `worker.decoding.process.PROGRAM` to `PROGRAM` to use it.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from typing import Any, BinaryIO

from worker import inputs
from worker.decoding import __main__ as program
from worker.decoding import serving
from worker.decoding.messages import send
from worker.inputs import Given

PROGRAM = ("-P", "-m", "tests.hostile.fragile")

CRASH = b"[decoder: crash]"
CRASH_IN_COMPANY = b"[decoder: crash unless alone]"
EXIT = b"[decoder: exit]"
COMPUTE = b"[decoder: compute for ever]"
WAIT = b"[decoder: wait for ever]"
EAT = b"[decoder: eat memory]"
LEAK = b"[decoder: leak memory]"
BE_KILLED = b"[decoder: be killed]"
FAULT = b"[decoder: raise]"
SHORTEN = b"[decoder: promise more than there is]"
LONG = b"[decoder: talk for ever]"
SPY = b"[decoder: spy]"

_leaked: list[bytearray] = []
_seen = 0


def fragile_read(kind: Any, source: BinaryIO, limits: Any = None) -> Given:
    """As `worker.inputs.read_input`, but obedient to the file."""
    global _seen
    _seen += 1
    content = source.read()
    if CRASH in content or (CRASH_IN_COMPANY in content and _seen > 1):
        os.kill(os.getpid(), signal.SIGSEGV)
    if EXIT in content:
        os._exit(3)
    if BE_KILLED in content:
        os.kill(os.getpid(), signal.SIGKILL)
    while COMPUTE in content:
        pass
    if WAIT in content:
        time.sleep(3600)
    if EAT in content:
        bytearray(1 << 40)
    if LEAK in content:
        _leaked.append(bytearray(500 * 2**20))
    if FAULT in content:
        raise KeyError("nobody thought of this")
    if SPY in content:
        raise LookupError(spied())
    _answer_falsely(content)
    source.seek(0)
    return inputs.read_input(kind, source, limits)


def spied() -> str:
    """What somebody who has taken over this process gets at: its environment, and a file outside."""
    found = [f"environment: {' '.join(sorted(os.environ))}"]
    attempts: dict[str, Callable[[], object]] = {
        "program": lambda: os.system("true") == 0 or "refused",
        "fork": lambda: os.fork() or os._exit(0),
        "written": lambda: os.truncate(os.memfd_create("much"), 2**40),
        "file": lambda: len([os.open("/etc/passwd", os.O_RDONLY) for _ in range(5000)]),
    }
    for what, attempt in attempts.items():
        try:
            found.append(f"{what}: {attempt()}")
        except OSError as failure:
            found.append(f"{what}: {failure.strerror}")
    return "; ".join(found)


def _answer_falsely(content: bytes) -> None:
    line = socket.socket(fileno=os.dup(int(sys.argv[2])))
    with line:
        if SHORTEN in content:
            send(line, {"shape": [1_000_000], "duration_seconds": 60.0})
        if LONG in content:
            line.sendall(b"\xff" * 100)


setattr(serving, "read_input", fragile_read)  # noqa: B010  # what it imported is no public name of it

if __name__ == "__main__":
    sys.exit(program.main())
