"""The Celery application of a worker: `python -m celery -A worker.app worker -Q gpu`.

Importing this starts nothing and loads no torch.
"""

from __future__ import annotations

import threading

import psutil
from celery.signals import heartbeat_sent, worker_shutting_down

from core.alive import leave_sign
from core.claims.workers import drain_processes
from core.config import load_settings
from core.ledger.database import Database
from core.queue import make_celery

settings = load_settings()
app = make_celery(settings, include=("worker.tasks",))
app.conf.worker_consumer = "worker.patient_consumer:PatientConsumer"
app.Worker = app.subclass_with_self("worker.leaving:LeavingWorker")


@heartbeat_sent.connect
def _listens(**_: object) -> None:
    """Every two seconds, as long as the broker takes what the main loop has to say."""
    leave_sign(settings, "worker")


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
