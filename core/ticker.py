"""The ticker: rings what the outbox holds, rings again what nobody answered, and reaps the claims of the dead.

`python -m core.ticker`. Any number may run: each step is a transaction that finds nothing to do if another was first.
"""

from __future__ import annotations

import signal
import threading
from types import FrameType

import structlog
from sqlalchemy.exc import SQLAlchemyError

from core.config import Settings, load_settings
from core.database import Database
from core.errors import Retryable
from core.leases import reap
from core.logs import set_up_logs
from core.outbox import Doorbell, publish, ring_again
from core.queue import CeleryDoorbell, make_celery
from core.workers import forget_dead_workers

log = structlog.get_logger()


def tick(database: Database, doorbell: Doorbell, settings: Settings) -> None:
    """One round. What fails is told and left for the next round."""
    try:
        if reaped := reap(database, max_attempts=settings.max_attempts):
            log.info("reaped", attempts=reaped)
        forget_dead_workers(database)
        if again := ring_again(database, after_seconds=settings.ring_again_seconds):
            log.info("ringing again", queues=again)
        if rung := publish(database, doorbell):
            log.info("rang", jobs=rung)
    except (Retryable, SQLAlchemyError) as error:
        log.warning("this round failed", error=str(error).splitlines()[0])


def main() -> None:
    set_up_logs()
    settings = load_settings()
    database = Database(settings.database_url)
    doorbell = CeleryDoorbell(make_celery(settings))
    stop = threading.Event()

    def end(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    log.info("ticking", every_seconds=settings.tick_seconds)
    while not stop.is_set():
        tick(database, doorbell, settings)
        stop.wait(settings.tick_seconds)


if __name__ == "__main__":
    main()
