"""What a doorbell does: look into the ledger and work until nothing waits. Nothing else.

The task is shared: a spawned child rebuilds its own application from a pickle and finds the task by importing this.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from celery import shared_task
from celery.signals import setup_logging, worker_process_shutdown

from core.config import load_settings
from core.queue import WORK_TASK
from core.telemetry import set_up_telemetry
from worker.threads import share_cores

if TYPE_CHECKING:
    from worker.runner import Runner

_runner: Runner | None = None  # one per process: it holds the models


@shared_task(name=WORK_TASK)
def work() -> None:
    global _runner
    if _runner is None:
        share_cores()
        # Torch comes in here, with the first work: the main process and an idle child do without it.
        from worker.runner import Runner

        _runner = Runner(load_settings())
    try:
        _runner.run_until_idle()
    except Exception:
        # Whatever it was, the next doorbell starts from what the ledger says, not from what this one remembers.
        _end_runner()
        raise


@setup_logging.connect
def _set_up_logs(**_: object) -> None:
    set_up_telemetry(load_settings(), "worker")


@worker_process_shutdown.connect
def _end_runner(**_: object) -> None:
    global _runner
    # Forgotten first: should closing fail, nobody is to work with one that is half closed.
    ending, _runner = _runner, None
    if ending is not None:
        ending.close()
