"""The Celery application of a worker: `python -m celery -A worker.app worker -Q gpu`.

Importing this starts nothing and loads no torch: a spawned child imports it again before its first task.
"""

from __future__ import annotations

import threading

import psutil
from celery.signals import setup_logging, worker_process_shutdown, worker_shutting_down

from core.config import load_settings
from core.database import Database
from core.logs import set_up_logs
from core.queue import make_celery
from core.workers import drain_processes
from worker import tasks

settings = load_settings()
app = make_celery(settings)
tasks.register(app, settings)


@setup_logging.connect
def _set_up_logs(**_: object) -> None:
    set_up_logs()


@worker_shutting_down.connect
def _drain(**_: object) -> None:
    """The child learns nothing of a shutdown by itself: its row tells it to finish what it holds and claim no more."""

    def mark() -> None:
        database = Database(settings.database_url)
        try:
            with database.write() as session:
                drain_processes(session, [child.pid for child in psutil.Process().children(recursive=True)])
        finally:
            database.dispose()

    # Signal handlers run between two bytecodes of the main loop; a thread keeps the database out of there.
    threading.Thread(target=mark, name="drain", daemon=True).start()


@worker_process_shutdown.connect
def _end(**_: object) -> None:
    tasks.end_runner()
