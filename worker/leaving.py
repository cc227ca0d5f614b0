"""The end of a worker that is told to end while it works: what it holds goes back first, and then nobody waits longer.

By itself Celery sleeps through all of its soft shutdown, and tells that it shuts down only afterwards: the child would
work and claim on for a minute, and have no time left to leave a checkpoint.
"""

from __future__ import annotations

import threading
import time

import psutil
import structlog
from celery.apps.worker import Worker as CeleryWorker
from celery.worker import state
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from core.claims.workers import drain_processes
from core.config import Settings, load_settings
from core.ledger.database import Database
from core.ledger.tables import Attempt, Worker
from core.processes import host_identity
from core.states import AttemptState

log = structlog.get_logger()

_LOOK_SECONDS = 0.2
# The child hears of it within a second, and may claim once more until then.
_FREE_SECONDS = 2.0


class LeavingWorker(CeleryWorker):  # type: ignore[misc]
    """A worker's main process."""

    def wait_for_soft_shutdown(self) -> None:
        """Called by the signal that ends the worker, in the main thread, before anything else is done about it."""
        if not state.active_requests:
            return
        settings, children = load_settings(), [one.pid for one in psutil.Process().children(recursive=True)]
        free = threading.Event()
        # Signal handlers run between two bytecodes of the main loop; a thread keeps the database out of there.
        threading.Thread(target=give_back, args=(settings, children, free), name="leave", daemon=True).start()
        free.wait(self.app.conf.worker_soft_shutdown_timeout)


def give_back(settings: Settings, pids: list[int], free: threading.Event) -> None:
    """Has these processes give back what they hold, and says when they hold nothing any more."""
    database = Database(settings.database_url)
    try:
        with database.write() as session:
            drain_processes(session, pids)
        since = time.monotonic()
        while time.monotonic() - since < _FREE_SECONDS:
            if _hold_something(database, pids):
                since = time.monotonic()
            time.sleep(_LOOK_SECONDS)
        free.set()
    except SQLAlchemyError as error:
        # Their leases run out, and the worker ends when its time is over.
        log.warning("leaves without a word", error=str(error).splitlines()[0])
    finally:
        database.dispose()


def _hold_something(database: Database, pids: list[int]) -> bool:
    with database.read() as session:
        held = session.scalar(
            select(Attempt.id)
            .join(Worker, Worker.id == Attempt.worker_id)
            .where(
                Attempt.state == AttemptState.ACTIVE,
                Worker.host == host_identity(),
                Worker.pid.in_(pids),
                Worker.ended_at.is_(None),
            )
            .limit(1)
        )
    return held is not None
