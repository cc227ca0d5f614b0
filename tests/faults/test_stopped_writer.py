"""A process is stopped while it holds SQLite's lock for writing: who writes is told, and who reads is served."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import DBAPIError

from core.config import Settings
from core.ledger import database as databases
from core.ledger.database import Database
from core.ledger.tables import Job
from core.ledger.write_lock import Holder, holder_of_write_lock
from core.people.accounts import Role
from tests.dashboard.conftest import Place, make_place
from tests.faults.stopped_writer import stopped_in_the_middle_of_a_write
from tests.ledgers import make_ledger
from tests.servers import Postgres

SUBMITS = 24  # more than there are connections to write with


@pytest.fixture
def place(sqlite_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    monkeypatch.setattr(databases, "REQUEST_TIMEOUT_SECONDS", 1)
    make_ledger(sqlite_settings.database_url)
    made = make_place(sqlite_settings)
    yield made
    made.database.dispose()


def ledger_of(place: Place) -> Path:
    return Path(str(place.database.engine.url.database))


def check_of(health: Any, name: str) -> Any:
    return next(check for check in health["checks"] if check["name"] == name)


def test_submits_are_told_to_come_again_and_make_one_job_each_while_pages_are_served(place: Place) -> None:
    ada, olga = place.script("ada"), place.script("olga", Role.OPERATOR)
    items = [{"key": "one", "name": "one.flac", "recording": ada.send()}]

    def submit(number: int) -> Any:
        return ada.submit(items, seed=number, headers={"Idempotency-Key": f"number {number}"})

    with stopped_in_the_middle_of_a_write(ledger_of(place)) as pid, ThreadPoolExecutor(SUBMITS) as scripts:
        sent = [scripts.submit(submit, number) for number in range(SUBMITS)]
        while not any(one.running() for one in sent):
            time.sleep(0.01)
        assert ada.get("/api/v1/jobs").status_code == 200
        told = check_of(olga.get("/api/v1/health").json, "ledger")
        answers = [one.result() for one in sent]
    assert told["state"] == "failed"
    assert f"process {pid} " in told["says"] and "was stopped in the middle of a write" in told["says"]
    assert f"kill -9 {pid}" in told["do"]
    assert told["facts"]["writer"]["stopped"] is True
    assert {answer.status_code for answer in answers} == {503}
    assert {answer.headers["Retry-After"] for answer in answers} == {"5"}
    assert all("Nothing was lost" in answer.json["detail"] for answer in answers)
    assert check_of(olga.get("/api/v1/health").json, "ledger")["state"] == "ok"
    assert {submit(number).status_code for number in range(SUBMITS)} == {201}
    with place.database.read() as session:
        assert session.scalar(select(func.count()).select_from(Job)) == SUBMITS


def test_who_only_reads_is_not_kept_waiting_by_the_note_that_a_token_was_used(place: Place) -> None:
    ada = place.script("ada")
    with stopped_in_the_middle_of_a_write(ledger_of(place)):
        with pytest.raises(DBAPIError, match="locked"), place.database.write_soon() as session:
            session.execute(text("SELECT 1"))
        with place.database.read() as session:
            assert session.scalar(text("PRAGMA busy_timeout")) == 1000, "patient again afterwards"
        assert ada.get("/api/v1/jobs").status_code == 200


def test_who_writes_is_found_whether_it_stands_still_or_not(place: Place) -> None:
    ledger = ledger_of(place)
    assert holder_of_write_lock(ledger) is None
    with stopped_in_the_middle_of_a_write(ledger) as pid:
        held = holder_of_write_lock(ledger)
        assert held is not None
        assert (held.pid, held.stands_still) == (pid, True)
        assert not place.database.can_be_written(0.1)
    assert place.database.can_be_written(0.1)
    with place.database.write() as session:
        session.execute(text("SELECT 1"))
        held = holder_of_write_lock(ledger)
    assert held == Holder(os.getpid(), psutil.Process().name(), stands_still=False)
    assert holder_of_write_lock(ledger.with_name("another")) is None


def test_on_postgresql_a_transaction_that_stands_still_is_ended(
    postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(databases, "_IDLE_IN_TRANSACTION_SECONDS", 1)
    with postgres.database(made=False) as url:
        make_ledger(url)
        sleeper, other = Database(url), Database(url)
        try:
            with pytest.raises(DBAPIError, match="idle"), sleeper.write() as session:
                session.execute(text("LOCK TABLE jobs"))
                with other.write() as waiting:
                    waiting.execute(text("LOCK TABLE jobs"))
                session.execute(text("SELECT 1"))
            with sleeper.read() as session:
                assert session.scalar(text("SELECT 1")) == 1, "a new connection takes its place"
        finally:
            sleeper.dispose()
            other.dispose()
