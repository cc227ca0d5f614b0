"""The pulse of a worker: a thread of its own that renews leases and hears what the ledger has to say.

It beats beside the loop that may hang in a driver, and it notices when that loop hangs: then it ends the process,
which frees the device, and the ledger hands the work to somebody else.
"""

from __future__ import annotations

import os
import threading
import time

import structlog
from sqlalchemy.exc import SQLAlchemyError

from core.claims.leases import attempts_to_stop, heartbeat
from core.claims.workers import Orders, orders_of, tell_utilisation
from core.config import Settings
from core.ledger.database import Database
from core.watching.tallies import Tally
from worker.utilisation import Meter

log = structlog.get_logger()

LISTEN_SECONDS = 1.0  # a cancelled job is let go of after about this long
STUCK_SECONDS = 600.0  # loading a large model over a slow network takes minutes; a batch does not


class Pulse:
    """Shared between the runner's loop and the beating thread; every method may be called from both.

    Attributes:
        tally: what the worker counts of its work; told with every heartbeat.
    """

    def __init__(self, database: Database, settings: Settings, worker_id: str) -> None:
        self._database = database
        self._settings = settings
        self._worker_id = worker_id
        self._lock = threading.Lock()
        self._attempts: set[str] = set()
        self._to_stop: set[str] = set()
        self._doing = ""
        self._moved = time.monotonic()
        self._orders = Orders(draining=False, leaving=False)
        self._meter = Meter(settings.device)
        self.tally = Tally()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="pulse", daemon=True)
        self._thread.start()

    @property
    def draining(self) -> bool:
        """Whether nothing more may be claimed; what is held is finished. An operator may take it back."""
        return self._orders.draining

    @property
    def leaving(self) -> bool:
        """Whether the process is about to end, so that what is held goes back."""
        return self._orders.leaving

    def hold(self, attempt_id: str) -> None:
        with self._lock:
            self._attempts.add(attempt_id)

    def let_go(self, attempt_id: str) -> None:
        with self._lock:
            self._attempts.discard(attempt_id)
            self._to_stop.discard(attempt_id)

    def must_stop(self, attempt_id: str) -> bool:
        with self._lock:
            return attempt_id in self._to_stop

    def moved(self, doing: str) -> None:
        """Says that the loop goes on, and what it does now."""
        with self._lock:
            self._moved = time.monotonic()
            self._doing = doing

    def end(self) -> None:
        self._ended.set()
        self._thread.join(timeout=5)

    def _beat(self) -> None:
        last_beat = 0.0
        while not self._ended.wait(LISTEN_SECONDS):
            with self._lock:
                attempts, doing, still = set(self._attempts), self._doing, time.monotonic() - self._moved
            if attempts and still > STUCK_SECONDS:
                log.error("stuck", doing=doing, seconds=round(still), attempt=sorted(attempts))
                os._exit(70)
            try:
                self._listen(attempts)
                if time.monotonic() - last_beat >= self._settings.heartbeat_seconds:
                    measured = self._meter.measure()  # before the write lock: a driver may take its time
                    with self._database.write() as session:
                        heartbeat(
                            session,
                            self._worker_id,
                            sorted(attempts),
                            lease_seconds=self._settings.lease_seconds,
                            doing=doing,
                        )
                        tell_utilisation(session, self._worker_id, {**measured, "tally": self.tally.told()})
                    last_beat = time.monotonic()
            except SQLAlchemyError as error:
                # The lease goes on for a while without us; if it does not, the fence keeps us from publishing.
                log.warning("no heartbeat", error=str(error).splitlines()[0], attempt=sorted(attempts))

    def _listen(self, attempts: set[str]) -> None:
        with self._database.read() as session:
            self._orders = orders_of(session, self._worker_id)
            if attempts:
                stop = attempts_to_stop(session, sorted(attempts))
                with self._lock:
                    self._to_stop |= stop & self._attempts
