"""What the programs that evaluate and analyse have in common: being told to stop, telling, and ways to fail."""

from __future__ import annotations

import logging
import signal
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import FrameType
from typing import Any

from worker.ml.device_failures import is_out_of_memory
from worker.ml.errors import MediaError
from worker.ml.full_disk import is_full
from worker.ml.training.events import STOPPED, Ended, Failed, File, Progress, write_event

log = logging.getLogger(__name__)
_SECONDS_BETWEEN = 0.5  # from one progress event to the next
_KNOWN = frozenset({"dataset_not_found", "dataset_mismatch", "checkpoint_mismatch", "invalid_recipe"})
_KINDS = {".json": "report", ".html": "report", ".png": "chart"}


class Asked(Exception):
    """Somebody asked the program to stop."""


class Steps:
    """Tells how far it is, and notices being asked to stop.

    Args:
        stages: how much of the whole each kind of work is, by its words, in their order.
    """

    def __init__(self, stages: Mapping[str, float]) -> None:
        self._stages = dict(stages)
        self._asked = False
        self._told = 0.0
        self._furthest = 0
        signal.signal(signal.SIGTERM, self._stop)
        signal.signal(signal.SIGINT, self._stop)

    def __call__(self, doing: str, done: int, total: int) -> None:
        """After every batch. Raises `Asked`."""
        if self._asked:
            raise Asked()
        now = time.monotonic()
        if done < total and now - self._told < _SECONDS_BETWEEN:
            return
        self._told = now
        before = 0.0
        for name, share in self._stages.items():
            if name == doing:
                before += share * done / max(1, total)
                break
            before += share
        # In thousandths of the whole, and never back: stages repeat for some models.
        self._furthest = max(self._furthest, round(1000 * before / sum(self._stages.values())))
        write_event(Progress(min(self._furthest, 999), 1000, doing=f"{doing} {done:,}/{total:,}"))

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self._asked = True


def run_program(work: Callable[[Path], Mapping[str, Any]], arguments: list[str] | None = None) -> int:
    """Run a program on a run folder, which is its only argument; answers the exit code.

    Args:
        work: does what the folder asks, and answers the result for `Ended`.
    """
    given = sys.argv[1:] if arguments is None else arguments
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(message)s")
    if len(given) != 1:
        sys.stderr.write("Give the run folder, with request.json in it, and nothing else.\n")
        return 2
    try:
        result = work(Path(given[0]))
        write_event(Progress(1000, 1000, doing="done"))
        write_event(Ended(result=result))
    except Asked:
        return STOPPED
    except MediaError as failure:
        code = failure.code if failure.code in _KNOWN else "invalid_recipe"
        return _fail(code, failure.message)
    except Exception as failure:
        if is_full(failure):
            return _fail("disk_full", "The disk is full. Make room and run it again.")
        if is_out_of_memory(failure):
            return _fail("out_of_memory", "There is too little memory. Measure fewer people, or free some.")
        log.exception("unexpected")
        return _fail("internal_error", f"This is a fault of ours: {failure!r}")
    return 0


def tell_files(run: Path, folder: str, names: list[str]) -> None:
    """Name files, which are whole, to whoever listens."""
    for name in names:
        if (run / folder / name).is_file():
            write_event(File(_KINDS.get(Path(name).suffix, "table"), f"{folder}/{name}"))


def _fail(code: str, message: str) -> int:
    write_event(Failed(code, message))
    return 1
