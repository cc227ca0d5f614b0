"""How soon work goes on after something broke. Each function breaks it, says the seconds, and holds them to a limit."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sqlite3
import sys
import time
from collections.abc import Callable, Sequence

import psutil
from sqlalchemy import func, select

from core.client_views import JobView
from core.ledger.database import Database
from core.ledger.tables import Attempt, Worker
from core.states import JOB_FINAL, AttemptState, JobState
from core.submitting.submission import submit
from tests.faults.place import Place
from tests.faults.rounds import PATIENCE_SECONDS, wait_until

AFTER_LEASE_SECONDS = 15.0
SHIPPED_LEASE_SECONDS = (
    60.0  # that a killed worker is gone is seen at once, but starting another takes its time
)
EMPTY_BROKER_SECONDS = 60.0
CANCEL_SECONDS = 35.0


def a_sleeping_worker(place: Place, lease_seconds: float) -> None:
    """One that the operating system has stopped looks dead to nobody: its lease has to run out."""
    job = draw(place, 20_001)
    wait_until(place.house, job.id, 0.1)
    began = freeze_between_writes(place)
    try:
        with place.house.ledger() as database:
            while held_by(database, [process.pid for process in place.second.family()]):
                assert time.monotonic() < began + PATIENCE_SECONDS
                time.sleep(0.1)
        seconds = time.monotonic() - began
    finally:
        place.second.thaw()
    told("work of a worker that sleeps goes to others", seconds, lease_seconds + AFTER_LEASE_SECONDS)
    place.house.wait_for(job.id, lambda now: now.state in JOB_FINAL)


def freeze_between_writes(place: Place) -> float:
    """Stops the second worker where it does not hold the lock of SQLite, which no lease can take from it; says when."""
    while True:
        began = time.monotonic()
        place.second.freeze()
        with contextlib.closing(sqlite3.connect(place.house.running.folder.ledger, timeout=2.0)) as ledger:
            try:
                ledger.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                place.second.thaw()
                time.sleep(0.1)
                continue
            ledger.rollback()
            return began


def held_by(database: Database, pids: Sequence[int]) -> int:
    """How many attempts these processes hold."""
    with database.read() as session:
        held = (
            select(func.count())
            .select_from(Attempt)
            .join(Worker, Worker.id == Attempt.worker_id)
            .where(Worker.pid.in_(pids), Worker.ended_at.is_(None), Attempt.state == AttemptState.ACTIVE)
        )
        return session.scalar(held) or 0


def a_killed_worker(place: Place, _lease_seconds: float) -> None:
    job = draw(place, 20_002)
    wait_until(place.house, job.id, 0.1)
    place.second.kill()
    place.house.kill_program("worker")
    began = time.monotonic()
    before = place.house.client.job(job.id).finished
    try:
        seconds = seconds_to(place, job, began, lambda now: now.finished > before)
    finally:
        place.second.start()
    limit = SHIPPED_LEASE_SECONDS + AFTER_LEASE_SECONDS
    told("work goes on after all workers were killed", seconds, limit)
    place.house.wait_for(job.id, lambda now: now.state in JOB_FINAL)


def an_empty_broker(place: Place, _lease_seconds: float) -> None:
    broker = psutil.Process(place.house.running.record().children["valkey"].pid)
    broker.suspend()
    for kept in place.house.running.folder.valkey.iterdir():
        if kept.name.startswith(("appendonly", "dump")):
            shutil.rmtree(kept) if kept.is_dir() else kept.unlink()
    os.kill(broker.pid, signal.SIGKILL)
    began = time.monotonic()
    job = draw(place, 20_003)
    seconds = seconds_to(place, job, began, lambda now: now.finished > 0)
    told("work begins after the broker came back with an empty disk", seconds, EMPTY_BROKER_SECONDS)
    place.house.wait_for(job.id, lambda now: now.state in JOB_FINAL)


def a_cancelled_job(place: Place, _lease_seconds: float) -> None:
    job = draw(place, 20_004)
    wait_until(place.house, job.id, 0.1)
    began = time.monotonic()
    place.house.client.cancel(job.id)
    seconds = seconds_to(place, job, began, lambda now: now.state in JOB_FINAL)
    told("a job that draws has been cancelled", seconds, CANCEL_SECONDS)
    assert place.house.client.job(job.id).state in (JobState.CANCELLED, JobState.COMPLETED_WITH_ERRORS)


RECOVERIES: tuple[Callable[[Place, float], None], ...] = (
    a_sleeping_worker,
    a_killed_worker,
    an_empty_broker,
    a_cancelled_job,
)


def draw(place: Place, seed: int) -> JobView:
    """A job of all recordings that has no face yet."""
    return submit(place.house.client, [], earlier=place.sent.id, seed=seed)[0]


def seconds_to(place: Place, job: JobView, began: float, reached: Callable[[JobView], bool]) -> float:
    place.house.wait_for(job.id, reached)
    return time.monotonic() - began


def told(what: str, seconds: float, limit: float) -> None:
    sys.stdout.write(f"{what}: {seconds:.1f} s (at most {limit:.0f})\n")
    assert seconds <= limit
