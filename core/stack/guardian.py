"""Kills what is left of the stack when its supervisor dies: `guardian.py`, with a pipe from the supervisor as input.

The kernel ends the supervisor's own children (see `tether.py`), but not their children: a web server's workers or a
pool's processes could live on for seconds, or until their last connection closes. The supervisor writes `+SESSION` and
`-SESSION` lines; the end of input means that it is gone. Run by path, with nothing imported, to weigh little.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from pathlib import Path

ROUNDS = 50
PROCESSES = Path("/proc")


def main() -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    sessions: set[int] = set()
    for line in sys.stdin:
        change, session = line[0], int(line[1:])
        if change == "+":
            sessions.add(session)
        else:
            sessions.discard(session)
    # Several rounds: a process may fork while the list is read.
    for _ in range(ROUNDS):
        if not sum(_kill(session) for session in sessions):
            return
        time.sleep(0.05)


def _kill(session: int) -> bool:
    """Kills the members of a session. Returns whether there were any."""
    members = _members(session)
    for pid in members:
        try:
            os.kill(pid, signal.SIGKILL)
        except OSError:
            continue
    return bool(members)


def _members(session: int) -> list[int]:
    if not PROCESSES.is_dir():
        # No /proc on this system: the process group of the session's leader has to do.
        with contextlib.suppress(OSError):
            os.killpg(session, signal.SIGKILL)
        return []
    members = []
    for folder in PROCESSES.iterdir():
        if not folder.name.isdigit():
            continue
        try:
            # After the name in parentheses: state, parent, group, session.
            fields = (folder / "stat").read_bytes().rpartition(b")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == session and fields[0] not in (b"Z", b"X"):
            members.append(int(folder.name))
    return members


if __name__ == "__main__":
    main()
