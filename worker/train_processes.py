"""Several processes, started by torchrun: one starts those of its host, waits, and says how it ended.

```
worker.train RUN ── torch.distributed.run ── worker.train RUN --outcomes DIR   (rank 0: tells events, keeps files)
                                          ├─ worker.train RUN --outcomes DIR   (rank 1)
                                          └─ …
```

Of several hosts each runs this program on a request and a dataset of its own (`worker/follow.py`). The first one leads:
its torchrun is where the others meet, and its first process is the one that tells and keeps.

Torchrun puts every process in a session of its own, so each is tied to the life of its parent: however the first one
ends, no process and no memory of a GPU stays behind. A process that fails leaves word in DIR; the first word counts,
since the others only fail for want of it.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from core.stack import tether
from worker.ml.training.events import STOPPED, Failed, Note, write_event

LOST_PROCESS = (
    "A process of the training died, as happens when a machine runs out of memory. Go on from the checkpoint."
)
SILENT_HOST = (
    "A host of the training fell silent and could not be reached for two minutes. Go on from the checkpoint once it is "
    "back."
)
NO_HOSTS = (
    "Not all hosts of the training came together. See that each of the others runs worker.follow and reaches the first "
    "one (docs/training.md)."
)
_LOOK_SECONDS = 0.1
# Shorter than the silence after which a program counts as stuck: fetching a dataset first takes others this long.
_MEET_SECONDS = 1200
_PORT = "29500"  # torchrun's own
_BEGUN = "begun"
_DONE, _FAILED = 0, 1


@dataclass(frozen=True)
class Group:
    """The processes of a training.

    Attributes:
        processes: on each host.
        number: of this host, from 0; the first one leads.
        leader: where the others reach the first one.
    """

    processes: int
    hosts: int = 1
    number: int = 0
    leader: str | None = None


def run_processes(run: Path, group: Group, should_stop: Callable[[], bool]) -> int:
    """Run this host's part of a training; returns the exit code.

    Args:
        should_stop: once it says so, the processes are asked to leave a checkpoint.
    """
    with tempfile.TemporaryDirectory(prefix="voicesketch-train-") as folder:
        outcomes = Path(folder)
        child = _start(run, group, outcomes)
        asked = False
        try:
            while child.poll() is None:
                if should_stop() and not asked:
                    asked = True
                    child.send_signal(signal.SIGTERM)
                time.sleep(_LOOK_SECONDS)
        finally:
            if child.poll() is None:
                child.kill()
            child.wait()
        return _outcome(outcomes, child.returncode)


def leave_sign(outcomes: Path) -> None:
    """In one of the processes: that all hosts came together, since only then there are any processes."""
    (outcomes / _BEGUN).touch()


def leave_word(outcomes: Path, ended: Failed | int) -> None:
    """In one of the processes: why it failed, or with which code the first one ends."""
    word = asdict(ended) if isinstance(ended, Failed) else {"exit_code": ended}
    path = outcomes / f"{time.monotonic_ns():020d}-{os.getpid()}.json"
    unfinished = path.with_suffix(".part")
    unfinished.write_text(json.dumps(word))
    unfinished.rename(path)


def die_with_parent() -> None:
    """In one of the processes: have the kernel end it when torchrun ends."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(tether.PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _start(run: Path, group: Group, outcomes: Path) -> subprocess.Popen[bytes]:
    tied = [sys.executable, str(Path(tether.__file__)), str(os.getpid()), str(int(signal.SIGKILL))]
    torchrun = ["-m", "torch.distributed.run", "--max-restarts=0", *_meeting(group)]
    program = [
        f"--nproc-per-node={group.processes}",
        "-m",
        "worker.train",
        str(run),
        "--outcomes",
        str(outcomes),
    ]
    # Torchrun would give each process a single thread.
    threads = max(1, (os.cpu_count() or 1) // group.processes)
    return subprocess.Popen(
        [*tied, sys.executable, *torchrun, *program],
        env={"OMP_NUM_THREADS": str(threads), **os.environ},
        # A signal to this process's group must not reach torchrun a second time while it ends.
        start_new_session=True,
    )


def _meeting(group: Group) -> list[str]:
    """Where and how the processes find each other. Ports and names are said to torchrun by its own variables."""
    if group.hosts == 1:
        return ["--standalone"]
    address = group.leader or os.environ.get("MASTER_ADDR") or socket.gethostname()
    return [
        f"--nnodes={group.hosts}",
        f"--node-rank={group.number}",
        f"--master-addr={address}",
        f"--master-port={os.environ.get('MASTER_PORT', _PORT)}",
        f"--rdzv-conf=timeout={_MEET_SECONDS}",
    ]


def _outcome(outcomes: Path, exit_code: int) -> int:
    words = [json.loads(path.read_text()) for path in sorted(outcomes.glob("*.json"))]
    failures = [word for word in words if "code" in word]
    if failures:
        write_event(Failed(**failures[0]))
        return _FAILED
    for word in words:
        if word["exit_code"] == STOPPED or (word["exit_code"] == _DONE and exit_code == 0):
            return int(word["exit_code"])
    write_event(Note(f"torchrun ended with code {exit_code}.", "error"))
    sentence = LOST_PROCESS if (outcomes / _BEGUN).exists() else NO_HOSTS
    write_event(Failed("internal_error", sentence, retryable=True))
    return _FAILED
