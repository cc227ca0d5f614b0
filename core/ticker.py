"""The ticker: rings what the outbox holds, reaps the claims of the dead, fires schedules, and delivers notes.

`python -m core.ticker`. Any number may run: each step is a transaction that finds nothing to do if another was first.
Bells, schedules and notes each have a thread. Planning a large collection takes seconds, and a receiver of notes may
take half a minute to answer; neither keeps a worker from being woken.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from datetime import datetime
from types import FrameType

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from core.alive import leave_sign, silence_allowed
from core.claims.leases import reap
from core.claims.outbox import Doorbell, publish, ring_again
from core.claims.workers import forget_dead_workers
from core.config import Settings, load_settings
from core.errors import Retryable
from core.incoming.uploads import sweep
from core.keeping.purging import purge
from core.keeping.storage_use import SUM_SECONDS, sum_up
from core.ledger.database import Database, now
from core.models.deletion import remove_unregistered_files
from core.people.quotas import enforce
from core.queue import CeleryDoorbell, make_celery
from core.schedules.advancing import advance
from core.schedules.firing import Pairs, fire_due, fire_for_pairs
from core.store import Store
from core.watching.presence import keep_noting
from core.watching.telemetry import set_up_telemetry
from core.webhooks import deliver

log = structlog.get_logger()

_TIDY_SECONDS = 3600.0
_RING_SECONDS = (
    0.2  # from one look for new work to the next: nobody who waits for ten faces should wait for a round
)
Clock = Callable[[Session], datetime]


def tick(database: Database, doorbell: Doorbell, settings: Settings) -> None:
    """One round of bells. What fails is told and left for the next round."""
    try:
        reap(database, max_attempts=settings.max_attempts)
        forget_dead_workers(database)
        if again := ring_again(database, after_seconds=settings.ring_again_seconds):
            log.info("ringing again", queues=again)
        publish(database, doorbell)
    except (Retryable, SQLAlchemyError) as error:
        log.warning("this round failed", error=str(error).splitlines()[0])


def ring_meanwhile(database: Database, doorbell: Doorbell, seconds: float, stop: threading.Event) -> None:
    """Waits so long for the next round, and rings for whatever comes in until then.

    Where that fails it only waits: the next round tells.
    """
    end = time.monotonic() + seconds
    works = True
    while (left := end - time.monotonic()) > 0:
        if stop.wait(min(_RING_SECONDS, left) if works else left):
            return
        try:
            publish(database, doorbell)
        except (Retryable, SQLAlchemyError):
            works = False


class Scheduling:
    """Rounds of schedules. Its steps fail each by itself: one that cannot be done keeps no other from being done."""

    def __init__(self, database: Database, store: Store, settings: Settings, *, clock: Clock = now) -> None:
        """
        Args:
            clock: tells the time by which schedules fire; tests give a fast one.
        """
        self._database, self._store, self._settings, self._clock = database, store, settings, clock
        self._pairs = Pairs(database, store)

    def round(self) -> None:
        if fired := _tried("fire", lambda: fire_due(self._database, clock=self._clock)):
            log.info("fired", runs=fired)
        if fired := _tried("count", lambda: fire_for_pairs(self._database, self._pairs, clock=self._clock)):
            log.info("fired for new pairs", runs=fired)
        moved = _tried(
            "advance",
            lambda: advance(
                self._database, self._store, self._pairs, queue=self._settings.queue, clock=self._clock
            ),
        )
        if moved:
            log.info("took runs on", runs=moved)

    def deliver(self) -> None:
        """One round of notes to those who asked."""
        private = self._settings.webhooks_to_private
        if sent := _tried("deliver", lambda: deliver(self._database, private=private, clock=self._clock)):
            log.info("delivered", notes=sent)


def tidy(database: Database, store: Store) -> None:
    """Removes what was sent and never used, and what is kept no longer."""
    if removed := _tried("tidy", lambda: remove_unregistered_files(database, store)):
        log.info("removed files of no model", files=removed)
    if swept := _tried("sweep", lambda: sweep(database, store)):
        log.info("swept unfinished uploads", uploads=swept)
    if purged := _tried("purge", lambda: purge(database, store, actor="ticker").counts.total()):
        log.info("removed what the rules of retention let go", things=purged)


def count_storage(database: Database) -> None:
    """Sums up what is stored, for whoever asks."""
    _tried("sum up", lambda: len(sum_up(database).kinds))


def _tried(what: str, step: Callable[[], int]) -> int:
    try:
        return step()
    except (Retryable, SQLAlchemyError) as error:
        log.warning("this round failed", step=what, error=str(error).splitlines()[0])
    except Exception:
        log.exception("this round failed", step=what)
    return 0


def _again_and_again(step: Callable[[], None], seconds: float, stop: threading.Event) -> None:
    while not stop.is_set():
        step()
        stop.wait(seconds)


class Rounds:
    """Whether rounds go on: a ticker that merely exists is none."""

    def __init__(self, settings: Settings) -> None:
        self._allowed = silence_allowed(settings)
        self._last: float | None = None

    def done(self) -> None:
        self._last = time.monotonic()

    def go_on(self) -> bool:
        return self._last is not None and time.monotonic() - self._last <= self._allowed


def main() -> None:
    settings = load_settings()
    set_up_telemetry(settings, "ticker")
    database = Database(settings.database_url)
    enforce(database, settings)
    doorbell = CeleryDoorbell(make_celery(settings))
    store = Store(settings)
    scheduling = Scheduling(database, store, settings)
    stop = threading.Event()

    def end(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    log.info("ticking", every_seconds=settings.tick_seconds)
    for name, step, seconds in (
        ("schedules", scheduling.round, settings.tick_seconds),
        ("notes", scheduling.deliver, settings.tick_seconds),
        ("tidying", lambda: tidy(database, store), _TIDY_SECONDS),
        ("counting", lambda: count_storage(database), SUM_SECONDS),
    ):
        # Whatever they are at can be left at any point, so nothing waits for them at the end.
        threading.Thread(target=_again_and_again, args=(step, seconds, stop), name=name, daemon=True).start()

    rounds = Rounds(settings)
    noting = (settings, "ticker", stop, rounds.go_on)
    threading.Thread(target=keep_noting, args=noting, name="presence", daemon=True).start()

    while not stop.is_set():
        tick(database, doorbell, settings)
        rounds.done()
        leave_sign(settings, "ticker")
        ring_meanwhile(database, doorbell, settings.tick_seconds, stop)


if __name__ == "__main__":
    main()
