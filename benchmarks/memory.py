"""How much memory a program takes with everything it starts, while it runs."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

_LOOK_SECONDS = 0.5


class PeakMemory:
    """Watches process trees while the block lasts.

    Counted is the proportional set size: a page that several processes share counts once, so that neither side of a
    comparison pays for sharing.

    Attributes:
        peak_bytes: the most that all processes took together in one look; 0 where the system does not tell.
    """

    def __init__(self, roots: Iterable[int]) -> None:
        self.peak_bytes = 0
        self._roots = tuple(roots)
        self._over = threading.Event()
        self._watcher = threading.Thread(target=self._watch, name="memory", daemon=True)

    def __enter__(self) -> Self:
        self._watcher.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._watcher.join()

    def _watch(self) -> None:
        while True:
            self.peak_bytes = max(self.peak_bytes, sum(map(_own_share, process_trees(self._roots))))
            if self._over.wait(_LOOK_SECONDS):
                return


def process_trees(roots: Iterable[int]) -> set[int]:
    """These processes and all below them."""
    found: set[int] = set()
    for root in roots:
        try:
            process = psutil.Process(root)
            found |= {root, *(child.pid for child in process.children(recursive=True))}
        except psutil.Error:
            continue
    return found


def _own_share(pid: int) -> int:
    """Bytes, a shared page divided by those who share it."""
    try:
        told = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0
    for line in told.splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return 0
