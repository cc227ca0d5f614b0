"""Stands between a worker and a program it runs, so that nothing of the program outlives either.

`python keeper.py PARENT_PID NICE PROGRAM ARGUMENT...`. A worker that is killed with SIGKILL can stop nothing; the
kernel signals its child instead, but not that child's children, and torchrun puts those in sessions of their own. The
keeper is that child. It takes in every orphan among its descendants, and when the program has ended, or whoever
started it is gone, it kills all of them. It passes SIGTERM on to the program, and ends as the program did: with its
code, or 128 and the number of the signal. Run by path; it imports nothing of ours.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType

import psutil

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
_POLL_SECONDS = 1.0
_PASSES = 50


class _ParentGone(Exception):
    """Raised out of waiting for the program."""


def main() -> int:
    parent, nice, command = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
    program: subprocess.Popen[bytes] | None = None

    def pass_on(number: int, _frame: FrameType | None) -> None:
        if program is not None and program.returncode is None:
            os.kill(program.pid, number)
        else:
            sys.exit(128 + number)

    def leave(_number: int, _frame: FrameType | None) -> None:
        raise _ParentGone

    signal.signal(signal.SIGTERM, pass_on)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, leave)
    _prctl(PR_SET_CHILD_SUBREAPER, 1)
    _prctl(PR_SET_PDEATHSIG, signal.SIGHUP)
    if os.getppid() != parent:
        return 1  # it died before the kernel was told
    try:
        program = subprocess.Popen(command, preexec_fn=lambda: _become_program(nice))
        return _wait(program, parent)
    except _ParentGone:
        return 1
    finally:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        kill_descendants()


def kill_descendants() -> None:
    """Kills children, their children, and those that come to us when their parents die, until none is left."""
    for _ in range(_PASSES):
        left = [child for child in psutil.Process().children(recursive=True) if _is_alive(child)]
        if not left:
            return
        for child in left:
            try:
                child.kill()
            except psutil.Error:
                continue
        _, alive = psutil.wait_procs(left, timeout=0.2)
        if not alive:
            time.sleep(0.01)


def _become_program(nice: int) -> None:
    # Should somebody kill the keeper itself, at least the program goes with it.
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    os.nice(nice)
    # Where memory runs out, the training is to go, and not the worker that starts it again.
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("500")


def _wait(program: subprocess.Popen[bytes], parent: int) -> int:
    while True:
        try:
            code = program.wait(_POLL_SECONDS)
        except subprocess.TimeoutExpired:
            if os.getppid() != parent:  # where no kernel tells it
                raise _ParentGone from None
            continue
        return code if code >= 0 else 128 - code


def _is_alive(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, int(value), 0, 0, 0)


if __name__ == "__main__":
    sys.exit(main())
