"""What a doorbell does: look into the ledger and work until nothing waits. Nothing else.

The task is shared: a spawned child rebuilds its own application from a pickle and finds the task by importing this.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import structlog
from celery import shared_task
from celery.signals import setup_logging, worker_process_shutdown

from core.claims.workers import end_worker
from core.config import Settings, load_settings
from core.ledger.database import Database
from core.queue import WORK_TASK
from core.watching.telemetry import set_up_telemetry
from worker.threads import share_cores

if TYPE_CHECKING:
    from worker.runner import Runner

log = structlog.get_logger()

_runner: Runner | None = None  # one per process: it holds the models
# Who this process was in the register. One that a ledger out of reach did not let leave would stand there as long as
# the process lives, beside the one that it is now.
_earlier: set[str] = set()


@shared_task(name=WORK_TASK)
def work() -> None:
    global _runner
    if _runner is None:
        share_cores()
        # Torch comes in here, with the first work: the main process and an idle child do without it.
        from worker.runner import Runner

        settings = load_settings()
        _runner = Runner(settings)
        _leave_as_earlier(settings)
    try:
        _runner.run_until_idle()
    except Exception as error:
        # Whatever it was, the next doorbell starts from what the ledger says, not from what this one remembers.
        _end_runner()
        if _has_lost_its_device(error):
            log.error("the GPU failed, so this process ends", error=str(error))
            os._exit(70)  # as the pulse does where a driver hangs; Celery starts another process
        raise


def _has_lost_its_device(error: Exception) -> bool:
    from worker.ml.device_failures import is_lost_device
    from worker.shortage import DeviceLost

    return isinstance(error, DeviceLost) or is_lost_device(error)


def _leave_as_earlier(settings: Settings) -> None:
    if not _earlier:
        return
    database = Database(settings.database_url)
    try:
        with database.write() as session:
            for worker_id in _earlier:
                end_worker(session, worker_id)
        _earlier.clear()
    finally:
        database.dispose()


@setup_logging.connect
def _set_up_logs(**_: object) -> None:
    set_up_telemetry(load_settings(), "worker")


@worker_process_shutdown.connect
def _end_runner(**_: object) -> None:
    global _runner
    # Forgotten first: should closing fail, nobody is to work with one that is half closed.
    ending, _runner = _runner, None
    if ending is not None:
        _earlier.add(ending.worker_id)
        ending.close()
