"""A round of the ticker: rings, reaps, and survives what is away."""

from __future__ import annotations

import subprocess
import sys
import threading

from pydantic import SecretStr
from sqlalchemy import select, update
from structlog.testing import capture_logs

from core.config import Settings
from core.errors import BrokerUnavailable
from core.ledger.tables import Worker
from core.states import JobState
from core.ticker import ring_meanwhile, tick
from tests.factories import FakeDoorbell, Ledger

SETTINGS = Settings(database_url="sqlite://", broker_url=SecretStr("redis://nowhere"))


def test_a_round_rings_new_work(ledger: Ledger) -> None:
    ledger.job(1)
    doorbell = FakeDoorbell()
    tick(ledger.database, doorbell, SETTINGS)
    tick(ledger.database, doorbell, SETTINGS)
    assert doorbell.rung == ["gpu"]


def test_a_broker_that_is_away_does_not_keep_the_dead_from_being_reaped(ledger: Ledger) -> None:
    job = ledger.job(2)
    ledger.claim(ledger.worker(), lease_seconds=-1)
    doorbell = FakeDoorbell()
    doorbell.broken = BrokerUnavailable()
    tick(ledger.database, doorbell, SETTINGS)
    assert ledger.counters(job)["pending"] == 2
    doorbell.broken = None
    tick(ledger.database, doorbell, SETTINGS)
    assert doorbell.rung  # what was given back is rung for
    ledger.publish(ledger.claim(ledger.worker()))
    assert ledger.get(job).state is JobState.COMPLETED


def test_what_is_taken_from_the_dead_and_rung_for_is_logged_with_job_and_attempt(ledger: Ledger) -> None:
    job = ledger.job(3)
    worker = ledger.worker()
    lost = ledger.claim(worker, size=2, lease_seconds=-1)
    with capture_logs() as lines:
        tick(ledger.database, FakeDoorbell(), SETTINGS)
    told = {line["event"]: line for line in lines}
    assert told["reaped"] == {
        "event": "reaped",
        "log_level": "warning",
        "job": job,
        "attempt": lost.attempt_id,
        "token": lost.token,
        "worker": worker,
        "items": 2,
        "reason": "its lease ran out",
    }
    assert told["rang"]["job"] == job


def test_work_that_comes_in_between_two_rounds_is_rung_for_at_once(ledger: Ledger) -> None:
    doorbell, stop, rang = FakeDoorbell(), threading.Event(), threading.Event()
    ring = doorbell.ring

    def ring_and_tell(queue: str) -> None:
        ring(queue)
        rang.set()

    doorbell.ring = ring_and_tell  # type: ignore[method-assign]
    rounds = threading.Thread(target=ring_meanwhile, args=(ledger.database, doorbell, 60.0, stop))
    rounds.start()
    try:
        ledger.job(1)
        assert rang.wait(30)
    finally:
        stop.set()
        rounds.join(timeout=30)
    assert not rounds.is_alive()
    assert doorbell.rung == ["gpu"]


def test_a_broker_that_is_away_is_left_alone_until_the_next_round(ledger: Ledger) -> None:
    ledger.job(1)
    doorbell, tried = FakeDoorbell(), []

    def ring(queue: str) -> None:
        tried.append(queue)
        raise BrokerUnavailable()

    doorbell.ring = ring  # type: ignore[method-assign]
    ring_meanwhile(ledger.database, doorbell, 0.7, threading.Event())
    assert len(tried) <= 2


def test_a_database_that_is_away_is_told_and_tried_again(ledger: Ledger) -> None:
    from core.ledger.database import Database

    absent = Database("postgresql://nobody@127.0.0.1:9/none")
    tick(absent, FakeDoorbell(), SETTINGS)  # does not raise
    absent.dispose()


def test_workers_whose_process_is_gone_leave_the_register(ledger: Ledger) -> None:
    here, gone = ledger.worker(), ledger.worker()
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    with ledger.database.write() as session:
        session.execute(update(Worker).where(Worker.id == gone).values(pid=ended.pid))
    tick(ledger.database, FakeDoorbell(), SETTINGS)
    with ledger.database.read() as session:
        present = session.scalars(select(Worker.id).where(Worker.ended_at.is_(None))).all()
    assert present == [here]
