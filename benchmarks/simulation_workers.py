"""Workers of `benchmarks.simulation`: everything that a worker says to the ledger, and nothing that it draws.

Each is two threads with a `Database` of its own, as a worker's process has: one claims and publishes as `worker.runner`
does (two chunks open, outcomes published every second or when a chunk ends), the other beats and listens as
`worker.pulse` does. Many of them share a process, since two hundred interpreters would fill a small machine.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.context import SpawnProcess
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Event, Semaphore
from typing import Any, NamedTuple

from sqlalchemy.exc import SQLAlchemyError

from benchmarks.crews import SPAWN, waiting_crew
from benchmarks.queue_ledger import drawn
from core.claims.chunks import InferChunk
from core.claims.leases import attempts_to_stop, claim_chunk, heartbeat
from core.claims.results import Outcome, publish_outcomes
from core.claims.workers import end_worker, orders_of, register_worker, tell_utilisation
from core.errors import LeaseLost
from core.ledger.database import Database

OPEN_CHUNKS = 2
AHEAD = 32  # nothing is claimed while more than this waits for the network
PUBLISH_SECONDS = 1.0
LISTEN_SECONDS = 1.0
HEARTBEAT_SECONDS = 15.0
LEASE_SECONDS = 60.0
_TICK_SECONDS = 0.05
_IDLE_SECONDS = 0.5  # a doorbell wakes a real one
_START_SECONDS = 300.0


class Told(NamedTuple):
    """One transaction of a worker."""

    what: str  # "claim", "publish", "beat" or "listen"
    began: float  # by the machine's monotonic clock
    seconds: float
    items: int


@dataclass(frozen=True)
class Kind:
    """What a worker is like.

    Attributes:
        chunk: items of a claim.
        rate: items a second that its device draws; 0 for one that needs no time at all.
    """

    chunk: int
    rate: float

    @property
    def chunk_seconds(self) -> float:
        """That its device needs for a chunk."""
        return self.chunk / self.rate if self.rate else 0.0


@dataclass
class _Open:
    chunk: InferChunk
    given: int = 0  # items that the device has been through
    published: int = 0
    published_at: float = field(default_factory=time.monotonic)


class _Worker:
    """One simulated worker; `run` is its first thread, and starts the second."""

    def __init__(self, url: str, kind: Kind, stop: threading.Event) -> None:
        self._database = Database(url)
        self._kind = kind
        self._stop = stop
        self._held: set[str] = set()
        self._lock = threading.Lock()
        self._open: list[_Open] = []
        self._credit = 0.0  # of items that the device could have drawn by now
        self.told: list[Told] = []
        self.lost = 0
        self.errors: list[str] = []
        with self._database.write() as session:
            self._id = register_worker(session, queue="gpu", device="simulated")
        self._pulse = threading.Thread(target=self._beat, daemon=True)

    def run(self) -> None:
        self._pulse.start()
        if self._kind.chunk_seconds:  # nobody's whole fleet claims in the same moment, chunk after chunk
            self._stop.wait(random.uniform(0, self._kind.chunk_seconds))
        drawn_until = time.monotonic()
        try:
            while not self._stop.is_set():
                idle = not self._claim_ahead() and not self._open
                at = time.monotonic()
                self._draw(at - drawn_until)
                drawn_until = at
                self._publish()
                if idle:
                    self._stop.wait(_IDLE_SECONDS)
                elif self._kind.rate:
                    self._stop.wait(_TICK_SECONDS)
        except SQLAlchemyError as error:
            self.errors.append(str(error).splitlines()[0])
        self._pulse.join(10)
        with self._database.write() as session:
            end_worker(session, self._id)
        self._database.dispose()

    def _claim_ahead(self) -> bool:
        found = False
        while len(self._open) < OPEN_CHUNKS and self._ahead < AHEAD and not self._stop.is_set():
            began = time.monotonic()
            with self._database.write() as session:
                chunk = claim_chunk(
                    session, self._id, "gpu", size=self._kind.chunk, lease_seconds=LEASE_SECONDS
                )
            self._note("claim", began, 0 if chunk is None else len(chunk.items))
            if chunk is None:
                break
            assert isinstance(chunk, InferChunk)
            with self._lock:
                self._held.add(chunk.attempt_id)
            self._open.append(_Open(chunk))
            found = True
        return found

    @property
    def _ahead(self) -> int:
        return sum(len(one.chunk.items) - one.given for one in self._open)

    def _draw(self, seconds: float) -> None:
        """Lets the device go on for so long; one that had nothing to do does not make up for it."""
        self._credit = self._credit % 1.0 + seconds * self._kind.rate if self._kind.rate else float("inf")
        for one in self._open:
            some = int(min(self._credit, len(one.chunk.items) - one.given))
            one.given += some
            self._credit -= some

    def _publish(self) -> None:
        for one in list(self._open):
            whole = one.given == len(one.chunk.items)
            due = time.monotonic() - one.published_at >= PUBLISH_SECONDS
            if not whole and not (due and one.given > one.published):
                continue
            outcomes: list[Outcome] = [
                drawn(one.chunk, item) for item in one.chunk.items[one.published : one.given]
            ]
            began = time.monotonic()
            try:
                with self._database.write() as session:
                    publish_outcomes(session, one.chunk, outcomes)
            except LeaseLost:
                self.lost += 1
                whole, outcomes = True, []
            self._note("publish", began, len(outcomes))
            one.published, one.published_at = one.given, time.monotonic()
            if whole:
                with self._lock:
                    self._held.discard(one.chunk.attempt_id)
                self._open.remove(one)

    def _beat(self) -> None:
        # Real workers did not start in the same second either.
        last_beat = time.monotonic() - HEARTBEAT_SECONDS * (hash(self._id) % 100) / 100
        while not self._stop.wait(LISTEN_SECONDS):
            with self._lock:
                held = sorted(self._held)
            try:
                began = time.monotonic()
                with self._database.read() as session:
                    orders_of(session, self._id)
                    if held:
                        attempts_to_stop(session, held)
                self._note("listen", began, 0)
                if began - last_beat < HEARTBEAT_SECONDS:
                    continue
                began = last_beat = time.monotonic()
                with self._database.write() as session:
                    heartbeat(
                        session, self._id, held, lease_seconds=LEASE_SECONDS, doing="drawing, in a simulation"
                    )
                    tell_utilisation(session, self._id, {"cpu_percent": 1.0, "memory_bytes": 1, "tally": {}})
                self._note("beat", began, 0)
            except SQLAlchemyError as error:
                self.errors.append(str(error).splitlines()[0])
                return

    def _note(self, what: str, began: float, items: int) -> None:
        self.told.append(Told(what, began, time.monotonic() - began, items))


@dataclass(frozen=True)
class Heard:
    """What one process of workers did."""

    told: list[Told]
    lost: int  # attempts that were taken away
    errors: list[str]


class Crowd:
    """Workers that are connected and wait for the start."""

    def __init__(self, go: Event, stop: Event, processes: list[SpawnProcess], heard: Queue[Heard]) -> None:
        self._go, self._stop, self._processes, self._heard = go, stop, processes, heard

    @property
    def pids(self) -> Sequence[int]:
        return [process.pid for process in self._processes if process.pid is not None]

    def start(self) -> None:
        self._go.set()

    def end(self) -> Heard:
        """Stops them all; answers what they did.

        Raises:
            SystemExit: one of them met an error, so that nothing was measured.
        """
        self._stop.set()
        all_of_them = [self._heard.get(timeout=_START_SECONDS) for _ in self._processes]
        heard = Heard(
            [told for one in all_of_them for told in one.told],
            sum(one.lost for one in all_of_them),
            [error for one in all_of_them for error in one.errors],
        )
        if heard.errors:
            raise SystemExit(f"{len(heard.errors)} workers met an error; the first: {heard.errors[0]}")
        return heard


@contextmanager
def crowd(url: str, workers: int, processes: int, kind: Kind) -> Iterator[Crowd]:
    """So many workers in so many processes."""
    stop = SPAWN.Event()
    heard: Any = SPAWN.Queue()
    shares = [workers // processes + (number < workers % processes) for number in range(processes)]
    arguments = [(url, share, kind, stop, heard) for share in shares if share]
    with waiting_crew(_work, arguments, patience_seconds=_START_SECONDS) as (go, started):
        yield Crowd(go, stop, started, heard)


def _work(
    ready: Semaphore, go: Event, url: str, workers: int, kind: Kind, stop: Event, heard: Queue[Heard]
) -> None:
    stopped = threading.Event()  # hundreds of threads look at it; the one that processes share is slower
    crew = [_Worker(url, kind, stopped) for _ in range(workers)]
    threads = [threading.Thread(target=one.run, daemon=True) for one in crew]
    ready.release()
    go.wait()
    for thread in threads:
        thread.start()
    stop.wait()
    stopped.set()
    for thread in threads:
        thread.join()
    heard.put(
        Heard(
            [told for one in crew for told in one.told],
            sum(one.lost for one in crew),
            [error for one in crew for error in one.errors],
        )
    )
