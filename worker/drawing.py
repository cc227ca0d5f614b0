"""The drawing line of a worker: recordings go in at one end, outcomes come out at the other.

```
store → fetch and decode (threads) → network, batched (one thread) → pictures and store (threads) → outcome
```

Each station has threads of its own and tells the line what it has finished; whoever drives the line passes things on
with `step`. Claims and commits thus happen while the network draws, and the network has its next batch beside it before
it has finished one.
"""

from __future__ import annotations

import queue
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import structlog

from core.claims.chunks import ClaimedItem, InferChunk
from core.claims.results import CouldNotDraw, Outcome
from core.errors import Retryable
from core.store import Store
from core.watching.logs import at_work_on
from core.watching.tracing import tracer
from worker.decoding.decoders import Decoders
from worker.ml.audio import Limits
from worker.ml.drawing_models import DrawnFace
from worker.models import LoadedModel, draw_all
from worker.stations import Heard, hand_out, hear

log = structlog.get_logger()

BATCH = 16  # clips a forward takes; larger ones gain nothing on a CPU and delay the first face
BATCHES_AHEAD = 2  # the one that is being drawn, and the one that is taken up next
DECODERS = 4
WRITERS = 4


@dataclass(eq=False)
class OpenChunk:
    """A chunk at work: what is still on its way, and what waits to be published.

    Attributes:
        left: items without an outcome.
        given_up: why its remaining items go back; what is on its way is dropped then.
    """

    chunk: InferChunk
    model: LoadedModel
    left: int
    outcomes: list[Outcome] = field(default_factory=list)
    given_up: str | None = None
    published_at: float = field(default_factory=time.monotonic)

    def settle(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)
        self.left -= 1


@dataclass(frozen=True, eq=False)
class _Ready:
    """A decoded item that waits for the network."""

    one: OpenChunk
    item: ClaimedItem
    heard: Heard

    @property
    def group(self) -> tuple[int, int]:
        """Items of one group can be drawn together."""
        return id(self.one.model), self.one.chunk.seed


_Told = Callable[[], None]  # what the driver's thread has to do about something that a station has finished


class DrawingLine:
    """All methods are called from one thread, which drives the line."""

    def __init__(self, store: Store, decoders: Decoders, limits: Limits) -> None:
        self._store = store
        self._limits = limits
        self._decoding = decoders
        self._hearing = ThreadPoolExecutor(DECODERS, thread_name_prefix="decode")
        self._drawing = ThreadPoolExecutor(1, thread_name_prefix="draw")
        self._writing = ThreadPoolExecutor(WRITERS, thread_name_prefix="write")
        self._told: queue.SimpleQueue[_Told] = queue.SimpleQueue()
        self._on_their_way = 0  # items that are fetched and decoded
        self._ready: deque[_Ready] = deque()
        self._batches = 0  # at the network, or next

    @property
    def waiting(self) -> int:
        """Items that the network has yet to take up."""
        return self._on_their_way + len(self._ready)

    @property
    def is_drawing(self) -> bool:
        """Whether the network has work."""
        return self._batches > 0

    def start(self, chunk: InferChunk, model: LoadedModel) -> OpenChunk:
        """Takes up a chunk."""
        one = OpenChunk(chunk, model, left=len(chunk.items))
        for item in chunk.items:
            self._on_their_way += 1
            self._hearing.submit(self._hear, one, item)
        return one

    def step(self, seconds: float) -> bool:
        """Passes on what stations have finished, waiting so long for something; answers whether anything was."""
        self._feed()
        try:
            told = self._told.get(timeout=seconds)
        except queue.Empty:
            return False
        while True:
            told()
            try:
                told = self._told.get_nowait()
            except queue.Empty:
                break
        self._feed()
        return True

    def drop_given_up(self) -> None:
        """Lets go of decoded items of chunks that were given up."""
        kept = deque(one for one in self._ready if one.one.given_up is None)
        for ready in self._ready:
            if ready.one.given_up is not None:
                ready.one.left -= 1
        self._ready = kept

    def close(self) -> None:
        """Starts nothing more. What is at the network is drawn for nobody."""
        for pool in (self._hearing, self._drawing, self._writing):
            pool.shutdown(wait=False, cancel_futures=True)

    # -- in the threads of the stations

    def _hear(self, one: OpenChunk, item: ClaimedItem) -> None:
        heard: Any = None
        if one.given_up is None:
            with at_work_on(one.chunk), tracer().span("hear", one.chunk, item=item.id) as span:
                heard = _tried(
                    lambda: hear(self._store, self._decoding, item, self._limits, one.model.network.input)
                )
                span.set("outcome", _named(heard))
        self._told.put(lambda: self._heard(one, item, heard))

    def _draw(self, batch: list[_Ready]) -> None:
        began = time.monotonic()
        wanted = [ready for ready in batch if ready.one.given_up is None]
        faces: list[DrawnFace | Exception] = []
        if wanted:
            first = wanted[0].one
            inputs = [ready.heard.given.data for ready in wanted]
            try:
                chunks = [ready.one.chunk for ready in wanted]
                with at_work_on(*chunks), tracer().span("draw", *chunks, batch=len(wanted)):
                    faces = draw_all(first.model.network, inputs, first.chunk.seed)
            except BaseException as error:  # noqa: BLE001  # no recording's fault: for whoever drives the line
                failure = error
                self._told.put(lambda: _raise(failure))
                return
        share = (time.monotonic() - began) / max(1, len(wanted))
        self._told.put(lambda: self._drawn(batch, wanted, faces, share))

    def _write(self, ready: _Ready, face: DrawnFace, share: float) -> None:
        one = ready.one
        with at_work_on(one.chunk), tracer().span("hand out", one.chunk, item=ready.item.id) as span:
            written = _tried(
                lambda: hand_out(
                    self._store, one.chunk, ready.item, ready.heard, face, share, one.model.label
                )
            )
            span.set("outcome", _named(written))
        self._told.put(lambda: self._written(one, ready.item, written))

    # -- in the driver's thread

    def _heard(self, one: OpenChunk, item: ClaimedItem, heard: Heard | Outcome | Exception | None) -> None:
        self._on_their_way -= 1
        if one.given_up is not None or heard is None:
            one.left -= 1
        elif isinstance(heard, Exception):
            _failed(one, item, heard)
        elif isinstance(heard, Heard):
            self._ready.append(_Ready(one, item, heard))
        else:
            one.settle(heard)

    def _drawn(
        self,
        batch: list[_Ready],
        wanted: list[_Ready],
        faces: list[DrawnFace | Exception],
        share: float,
    ) -> None:
        self._batches -= 1
        for ready in batch:
            if all(ready is not one for one in wanted):
                ready.one.left -= 1
        for ready, face in zip(wanted, faces, strict=True):
            if isinstance(face, Exception):
                message = f"The network failed on this recording: {face}"
                ready.one.settle(CouldNotDraw(ready.item.id, "network_failed", message, share))
            else:
                self._writing.submit(self._write, ready, face, share)

    def _written(self, one: OpenChunk, item: ClaimedItem, written: Outcome | Exception) -> None:
        if isinstance(written, Exception):
            _failed(one, item, written)
        else:
            one.settle(written)

    def _feed(self) -> None:
        """Gives the network a batch, as full as can be had without leaving it idle."""
        while self._ready and self._batches < BATCHES_AHEAD:
            group = self._ready[0].group
            fitting = [ready for ready in self._ready if ready.group == group][:BATCH]
            if self._batches and len(fitting) < BATCH and self._on_their_way:
                return  # it is busy: the batch may fill up until it asks
            taken = set(map(id, fitting))
            self._ready = deque(ready for ready in self._ready if id(ready) not in taken)
            self._batches += 1
            self._drawing.submit(self._draw, fitting)


def _tried(work: Callable[[], Any]) -> Any:
    """What came of it, or the exception: a station never dies of an item."""
    try:
        return work()
    except Exception as error:  # noqa: BLE001
        return error


def _named(came: Heard | Outcome | Exception) -> str:
    """What came of it, for traces: the kind, or the code of what was wrong."""
    return came.code if isinstance(came, CouldNotDraw | Retryable) else type(came).__name__


def _raise(error: BaseException) -> None:
    raise error


def _failed(one: OpenChunk, item: ClaimedItem, error: Exception) -> None:
    """Where the surroundings failed the chunk goes back; anything else is a fault of ours, and the item's end."""
    if isinstance(error, Retryable):
        with at_work_on(one.chunk):
            log.warning("gives back", item=item.id, error=error.message)
        one.given_up = one.given_up or error.message
        one.left -= 1
        return
    with at_work_on(one.chunk):
        log.error("unexpected", item=item.id, exc_info=error)
    one.settle(CouldNotDraw(item.id, "internal_error", f"This is a fault of ours: {error!r}", 0.0))
