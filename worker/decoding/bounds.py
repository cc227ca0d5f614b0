"""How far the decoding of one file may go, and what a process that decodes may do at all."""

from __future__ import annotations

import ctypes
import math
import os
import resource
import signal
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_SET_NO_NEW_PRIVS = 38
_NOBODY = 65534
_SPARE_FILES = 8  # beside those that are open already: the file at hand, and a copy of it


@dataclass(frozen=True)
class Bounds:
    """What one file may take: more than any file needs that is within the limits on lengths and sizes.

    Attributes:
        memory_bytes: address space of the process, with the libraries it begins with (about 0.3 GB).
        cpu_seconds: of computing.
        wall_seconds: on the clock, for whatever waits without computing.
        result_bytes: of samples or pixels.
    """

    memory_bytes: int = 2 * 2**30
    cpu_seconds: int = 60
    wall_seconds: float = 180.0
    result_bytes: int = 256 * 2**20


DEFAULT_BOUNDS = Bounds()


def die_with_parent(parent: int) -> None:
    """From now on the kernel ends this process with the thread that started it, even in the middle of a file."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit(1)  # it died before the kernel was told


def confine(bounds: Bounds, parent: int) -> None:
    """Sets the limits of this process for good. Call it when everything is imported: afterwards there are no new
    threads, no programs, and next to no further files.
    """
    # Where memory runs out, this is to go, and not the worker that starts it again.
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")
    _limit(resource.RLIMIT_AS, bounds.memory_bytes)
    _limit(resource.RLIMIT_FSIZE, bounds.result_bytes)
    _limit(resource.RLIMIT_CORE, 0)  # it would hold somebody's recording
    _limit(resource.RLIMIT_NPROC, 0)
    with suppress(OSError):
        _limit(
            resource.RLIMIT_NOFILE,
            max(int(one.name) for one in Path("/proc/self/fd").iterdir()) + _SPARE_FILES,
        )
    _leave_root()
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    die_with_parent(parent)  # the kernel forgets that when the user changes
    _prctl(_PR_SET_DUMPABLE, 0)  # other programs of the same user may not look into it


def allow_cpu(seconds: int) -> None:
    """Gives the file that comes now so many seconds of computing; beyond them the kernel sends SIGXCPU."""
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    soft = math.ceil(time.process_time()) + seconds
    resource.setrlimit(
        resource.RLIMIT_CPU, (soft if hard == resource.RLIM_INFINITY else min(soft, hard), hard)
    )


def _leave_root() -> None:
    """Limits on processes and rights of files mean nothing to root, as which containers often run."""
    if os.geteuid() != 0:
        return
    with suppress(OSError):  # a container need not know that user; then the other limits have to do
        os.setgroups([])
        os.setresgid(_NOBODY, _NOBODY, _NOBODY)
        os.setresuid(_NOBODY, _NOBODY, _NOBODY)


def _limit(what: int, value: int) -> None:
    _, hard = resource.getrlimit(what)
    if hard != resource.RLIM_INFINITY:
        value = min(value, hard)
    resource.setrlimit(what, (value, value))


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, int(value), 0, 0, 0)
