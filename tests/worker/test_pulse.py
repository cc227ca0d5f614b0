"""The pulse renews leases by itself, and hears of cancellations and farewells within seconds."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from core.claims.leases import reap
from core.claims.workers import drain_processes
from core.config import Settings
from core.jobs import cancel_job
from core.ledger.database import Database, now
from core.ledger.tables import Attempt, Worker
from tests.factories import Ledger
from tests.ledgers import make_ledger
from worker.pulse import Pulse


@pytest.fixture
def ledger(settings: Settings) -> Iterator[Ledger]:
    make_ledger(settings.database_url)
    database = Database(settings.database_url)
    yield Ledger(database)
    database.dispose()


def until(condition: Callable[[], bool], seconds: float = 8.0) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.05)
    return condition()


def test_a_held_attempt_is_renewed_while_the_loop_is_busy(ledger: Ledger, settings: Settings) -> None:
    ledger.job(1)
    worker = ledger.worker()
    chunk = ledger.claim(worker, lease_seconds=0.5)
    pulse = Pulse(ledger.database, settings.model_copy(update={"heartbeat_seconds": 0.1}), worker)
    pulse.hold(chunk.attempt_id)

    def renewed() -> bool:
        with ledger.database.read() as session:
            lease = session.scalars(select(Attempt.lease_until)).one()
            return lease > now(session) + timedelta(seconds=30)

    assert until(renewed)
    pulse.end()
    assert reap(ledger.database, max_attempts=5) == 0


def test_a_cancelled_job_and_a_lost_lease_are_heard_of(ledger: Ledger, settings: Settings) -> None:
    first, _ = ledger.job(1), ledger.job(1, prefix="other")
    worker = ledger.worker()
    cancelled, lost = ledger.claim(worker), ledger.claim(worker)
    pulse = Pulse(ledger.database, settings, worker)
    for chunk in (cancelled, lost):
        pulse.hold(chunk.attempt_id)
    assert cancelled.job_id == first
    with ledger.database.write() as session:
        cancel_job(session, first, actor="ada")
        session.execute(
            update(Attempt)
            .where(Attempt.id == lost.attempt_id)
            .values(lease_until=now(session) - timedelta(seconds=1))
        )
    reap(ledger.database, max_attempts=5)
    assert until(lambda: pulse.must_stop(cancelled.attempt_id) and pulse.must_stop(lost.attempt_id))
    pulse.let_go(lost.attempt_id)
    assert not pulse.must_stop(lost.attempt_id)
    pulse.end()


def test_a_worker_that_is_asked_to_leave_hears_it(ledger: Ledger, settings: Settings) -> None:
    worker = ledger.worker()
    pulse = Pulse(ledger.database, settings, worker)
    assert not pulse.draining
    with ledger.database.write() as session:
        row = session.get(Worker, worker)
        assert row is not None
        drain_processes(session, [row.pid])
    assert until(lambda: pulse.draining)
    pulse.end()


def test_what_a_worker_counted_is_told_with_its_heartbeat(ledger: Ledger, settings: Settings) -> None:
    worker = ledger.worker()
    pulse = Pulse(ledger.database, settings.model_copy(update={"heartbeat_seconds": 0.1}), worker)
    pulse.tally.ended([("done", 0.3), ("failed", 0.0)])

    def told() -> bool:
        with ledger.database.read() as session:
            measured = session.get_one(Worker, worker).utilisation or {}
            return measured.get("tally", {}).get("items") == {"done": 1, "failed": 1}

    assert until(told)
    pulse.end()
