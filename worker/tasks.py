"""What a doorbell does: look into the ledger and work until nothing waits. Nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from celery import Celery

from core.config import Settings
from core.queue import WORK_TASK

if TYPE_CHECKING:
    from worker.runner import Runner

_runner: Runner | None = None  # one per process: it holds the models


def register(app: Celery, settings: Settings) -> None:
    @app.task(name=WORK_TASK)
    def work() -> None:
        global _runner
        if _runner is None:
            # Torch comes in here, with the first work: the main process and an idle child do without it.
            from worker.runner import Runner

            _runner = Runner(settings)
        try:
            _runner.run_until_idle()
        except Exception:
            # Whatever it was, the next doorbell starts from what the ledger says, not from what this one remembers.
            end_runner()
            raise


def end_runner() -> None:
    global _runner
    if _runner is not None:
        _runner.close()
        _runner = None
