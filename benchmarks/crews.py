"""Processes of a measurement that are all ready before any of them begins."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from multiprocessing.context import SpawnProcess
from multiprocessing.synchronize import Event
from typing import Any

SPAWN = multiprocessing.get_context("spawn")


@contextmanager
def waiting_crew(
    work: Callable[..., None], arguments: Sequence[tuple[Any, ...]], *, patience_seconds: float
) -> Iterator[tuple[Event, list[SpawnProcess]]]:
    """A process for each tuple of arguments; answers what lets them all begin, and the processes. None outlives it.

    Args:
        work: called in each process with a `Semaphore` to release when it is ready, an `Event` to wait for then, and
            its arguments.

    Raises:
        SystemExit: one of them was not ready in time.
    """
    with ExitStack() as stack:
        ready, go = SPAWN.Semaphore(0), SPAWN.Event()
        processes = [SPAWN.Process(target=work, args=(ready, go, *some), daemon=True) for some in arguments]
        for process in processes:
            process.start()
            stack.callback(process.join)
            stack.callback(process.terminate)
        for _ in processes:
            if not ready.acquire(timeout=patience_seconds):
                raise SystemExit("A worker of the measurement did not start; see above.")
        yield go, processes
