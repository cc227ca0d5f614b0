"""Loaded models that a process keeps for the next chunk, and lets go of while nobody asks for them.

Two are kept, since a comparison of two versions goes back and forth between them. But a network of hundreds of
megabytes that was wanted once this morning is memory that a training or a neighbour may need.
"""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic, TypeVar

import psutil
import structlog

log = structlog.get_logger()

MOST = 2
IDLE_SECONDS = 300.0
LOOK_SECONDS = 15.0
# Less than this is left: nobody else may find room, and the kernel ends whoever is largest.
_SHORT_BYTES = 1 << 30
_SHORT_SHARE = 0.05
_CONTAINER = Path("/sys/fs/cgroup")
T = TypeVar("T")


class KeptModels(Generic[T]):
    """Models by version. All methods may be called from several threads.

    The one that was used last stays, however long ago that was, so that the next job of it begins at once; the others
    go after `idle_seconds`. Where memory is short all that were not used for so long go, and a model is loaded only
    after the others have gone.

    Args:
        let_go: called after models were forgotten, so that their memory is given back.
        is_short: whether the machine will be short of memory once so many more bytes are taken.
    """

    def __init__(
        self,
        *,
        most: int = MOST,
        idle_seconds: float = IDLE_SECONDS,
        look_seconds: float = LOOK_SECONDS,
        let_go: Callable[[], None] = lambda: None,
        is_short: Callable[[int], bool] | None = None,
    ) -> None:
        self._most = most
        self._idle_seconds = idle_seconds
        self._look_seconds = look_seconds
        self._let_go = let_go
        self._is_short = is_short or is_memory_short
        self._lock = threading.Lock()
        self._models: dict[str, T] = {}  # what was used last stands last
        self._used_at: dict[str, float] = {}
        self._watch: threading.Thread | None = None

    def __len__(self) -> int:
        return len(self._models)

    def get(self, version: str) -> T | None:
        """The model of that version, where it is kept; that counts as a use."""
        with self._lock:
            model = self._models.pop(version, None)
            if model is not None:
                self._models[version] = model
                self._used_at[version] = time.monotonic()
            return model

    def make_room(self, needed_bytes: int) -> None:
        """Before another model is loaded: all others go where there would be too little memory for all of them.

        Args:
            needed_bytes: that the model will take, about.
        """
        if self._is_short(needed_bytes):
            self._forget(list(self._models))

    def keep(self, version: str, model: T) -> None:
        """Keeps a model; the one that was not used for longest makes way for it."""
        with self._lock:
            self._models[version] = model
            self._used_at[version] = time.monotonic()
            too_many = list(self._models)[: -self._most]
            if self._watch is None:
                self._watch = threading.Thread(
                    target=_look,
                    args=(weakref.ref(self), self._look_seconds),
                    name="kept models",
                    daemon=True,
                )
                self._watch.start()
        self._forget(too_many)

    def forget_idle(self) -> bool:
        """Lets go of what was not used for long; answers whether anything is still kept."""
        short = self._is_short(0)
        with self._lock:
            before = time.monotonic() - self._idle_seconds
            may_go = list(self._models) if short else list(self._models)[:-1]
            idle = [version for version in may_go if self._used_at[version] <= before]
        self._forget(idle, before)
        return bool(self._models)

    def _forget(self, versions: list[str], before: float | None = None) -> None:
        with self._lock:
            going = [
                version
                for version in versions
                if version in self._models and (before is None or self._used_at[version] <= before)
            ]
            for version in going:
                del self._models[version], self._used_at[version]
        if going:
            self._let_go()
            log.info("forgot models", versions=going)

    def _is_over(self) -> bool:
        """Whether nothing is left to look at; the next model that is kept begins to be looked at anew."""
        with self._lock:
            if not self._models:
                self._watch = None
            return self._watch is None


def _look(of: weakref.ref[KeptModels[Any]], every_seconds: float) -> None:
    """Runs in a thread of its own, and holds nothing meanwhile: what a worker that ended had kept goes with it."""
    while True:
        time.sleep(every_seconds)
        models = of()
        if models is None or (not models.forget_idle() and models._is_over()):
            return
        del models


def is_memory_short(needed_bytes: int, container: Path = _CONTAINER) -> bool:
    """Whether less than a gigabyte, or a twentieth of all, will be left once so many bytes are taken.

    Args:
        container: where the kernel tells the limit of this container, if it has one.
    """
    machine = psutil.virtual_memory()
    total, left = machine.total, machine.available
    try:
        limit = int((container / "memory.max").read_text())
        used = int((container / "memory.current").read_text())
        # What the kernel keeps of files goes as soon as anybody needs the room.
        files = dict(line.split() for line in (container / "memory.stat").read_text().splitlines())
        total, left = min(total, limit), min(left, limit - used + int(files.get("inactive_file", 0)))
    except (OSError, ValueError):
        pass  # no container, or one without a limit ("max")
    return left - needed_bytes < min(_SHORT_BYTES, _SHORT_SHARE * total)
