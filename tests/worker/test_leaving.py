"""The end of a worker that is at work: its child is told at once, and the end comes when nothing is held any more."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from sqlalchemy import select, update

from core.claims.leases import release
from core.config import Settings
from core.ledger.database import Database
from core.ledger.tables import Worker
from tests.factories import Ledger
from tests.ledgers import make_ledger
from tests.worker.test_pulse import until
from worker import leaving

PATIENCE_SECONDS = 60.0


@pytest.fixture
def ledger(sqlite_settings: Settings) -> Iterator[Ledger]:
    make_ledger(sqlite_settings.database_url)
    database = Database(sqlite_settings.database_url)
    yield Ledger(database)
    database.dispose()


@pytest.fixture
def child() -> Iterator[int]:
    with subprocess.Popen([sys.executable, "-I", "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process.pid
        process.kill()


@pytest.fixture
def ending(sqlite_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> leaving.LeavingWorker:
    """A main process that has a task under way and was told to end."""
    monkeypatch.setattr(leaving, "_FREE_SECONDS", 0.4)
    monkeypatch.setattr(leaving, "load_settings", lambda: sqlite_settings)
    monkeypatch.setattr(leaving.state, "active_requests", {"a task"})
    ending: leaving.LeavingWorker = leaving.LeavingWorker.__new__(leaving.LeavingWorker)
    ending.app = SimpleNamespace(conf=SimpleNamespace(worker_soft_shutdown_timeout=PATIENCE_SECONDS))
    return ending


def of_process(ledger: Ledger, pid: int) -> str:
    worker = ledger.worker()
    with ledger.database.write() as session:
        session.execute(update(Worker).where(Worker.id == worker).values(pid=pid))
    return worker


def test_a_worker_that_ends_tells_its_child_at_once_and_waits_until_all_is_given_back(
    ledger: Ledger, ending: leaving.LeavingWorker, child: int
) -> None:
    ledger.job(2)
    worker = of_process(ledger, child)
    held = ledger.claim(worker)

    def was_told() -> bool:
        with ledger.database.read() as session:
            return session.scalar(select(Worker.leaving_at).where(Worker.id == worker)) is not None

    waits = threading.Thread(target=ending.wait_for_soft_shutdown)
    waits.start()
    assert until(was_told, 30)
    waits.join(2 * leaving._FREE_SECONDS)
    assert waits.is_alive(), "it still holds something"
    with ledger.database.write() as session:
        release(session, held.attempt_id, reason="the worker is leaving")
    waits.join(PATIENCE_SECONDS / 2)
    assert not waits.is_alive(), "nobody waits for the rest of the time"


def test_a_worker_waits_no_longer_than_it_was_given_and_not_at_all_without_work(
    ledger: Ledger, ending: leaving.LeavingWorker, child: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger.job(1)
    ledger.claim(of_process(ledger, child))
    ending.app.conf.worker_soft_shutdown_timeout = 0.2
    ending.wait_for_soft_shutdown()
    monkeypatch.setattr(leaving.state, "active_requests", set())
    ending.app.conf.worker_soft_shutdown_timeout = 3600
    ending.wait_for_soft_shutdown()
