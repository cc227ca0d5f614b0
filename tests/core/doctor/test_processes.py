"""Who should be there and is not, who runs other code, and who signs with another key."""

from __future__ import annotations

import dataclasses
import threading
import time
from datetime import timedelta

import pytest
from sqlalchemy import update

from core.claims.workers import register_worker, tell_utilisation
from core.code_identity import code_name
from core.config import Settings
from core.doctor import addresses, processes
from core.doctor.round import of_a_place
from core.ledger.database import Database, now
from core.ledger.tables import Job, Worker
from core.ticker import Rounds, tick
from core.watching.presence import keep_noting, me, note, present
from tests.factories import FakeDoorbell, Ledger
from tests.ledgers import make_ledger


@pytest.fixture
def ledger(sqlite_settings: Settings) -> Database:
    make_ledger(sqlite_settings.database_url)
    return Database(sqlite_settings.database_url)


def test_who_left_a_note_is_there_for_a_while_by_the_brokers_clock(sqlite_settings: Settings) -> None:
    assert present(sqlite_settings) == []
    ticker, dashboard = me("ticker", sqlite_settings), me("dashboard", sqlite_settings)
    note(sqlite_settings, ticker)
    note(sqlite_settings, dashboard)
    assert present(sqlite_settings) == [dashboard, ticker]
    assert present(sqlite_settings, within_seconds=-1.0) == []
    assert sqlite_settings.secret_key.get_secret_value() not in repr(ticker)


def test_a_ticker_that_hangs_leaves_no_note(sqlite_settings: Settings) -> None:
    rounds = Rounds(sqlite_settings)
    stop = threading.Event()
    stop.set()
    keep_noting(sqlite_settings, "ticker", stop, rounds.go_on)  # not one round yet
    assert [one.code for one in processes.tickers(present(sqlite_settings))] == ["no_ticker"]
    rounds.done()
    keep_noting(sqlite_settings, "ticker", stop, rounds.go_on)
    assert processes.tickers(present(sqlite_settings)) == []
    rounds._last = time.monotonic() - 3600
    assert not rounds.go_on()


def test_a_broker_that_is_away_ends_nobody_who_leaves_notes(sqlite_settings: Settings) -> None:
    away = sqlite_settings.model_copy(
        update={"broker_url": type(sqlite_settings.broker_url)("redis://127.0.0.1:1")}
    )
    stop = threading.Event()
    stop.set()
    keep_noting(away, "ticker", stop, lambda: True)


def test_work_that_nobody_claims_is_noticed_after_a_minute(ledger: Database) -> None:
    job = Ledger(ledger).job(3)
    with ledger.read() as session:
        assert processes.queues(session) == []
    with ledger.write() as session:
        past = now(session) - timedelta(minutes=5)
        session.execute(update(Job).where(Job.id == job).values(queued_at=past))
    with ledger.read() as session:
        [found] = processes.queues(session)
    assert (found.code, "3 items wait in the queue gpu" in found.says) == ("queue_without_worker", True)
    with ledger.write() as session:
        register_worker(session, queue="gpu", device="cpu")
    with ledger.read() as session:
        assert processes.queues(session) == []


def test_a_worker_of_another_version_is_named(ledger: Database, sqlite_settings: Settings) -> None:
    with ledger.write() as session:
        same = register_worker(session, queue="gpu", device="cpu")
        other = register_worker(session, queue="gpu", device="cpu")
        tell_utilisation(session, same, {"cpu_percent": 1.0})
    with ledger.read() as session:
        assert processes.versions(session, [me("ticker", sqlite_settings)]) == []
    with ledger.write() as session:
        tell_utilisation(session, other, {"code": "0.0.9+00000000"})
    with ledger.read() as session:
        [found] = processes.versions(session, [])
    assert found.code == "versions_differ" and other in found.says and same not in found.says
    assert code_name() in found.says
    old = dataclasses.replace(me("dashboard", sqlite_settings), code="0.0.8+11111111")
    with ledger.read() as session:
        assert "the dashboard on" in processes.versions(session, [old])[0].says


def test_two_machines_on_one_sqlite_file_are_noticed(ledger: Database, sqlite_settings: Settings) -> None:
    with ledger.write() as session:
        register_worker(session, queue="gpu", device="cpu")
    here = me("ticker", sqlite_settings)
    with ledger.read() as session:
        assert processes.one_host(session, [here]) == []
        [found] = processes.one_host(session, [dataclasses.replace(here, host="another")])
    assert found.code == "sqlite_shared"


def test_dashboards_with_different_keys_are_noticed(sqlite_settings: Settings) -> None:
    one = me("dashboard", sqlite_settings)
    other = me(
        "dashboard",
        sqlite_settings.model_copy(update={"secret_key": type(sqlite_settings.secret_key)("x" * 40)}),
    )
    ticker = dataclasses.replace(other, part="ticker", key="")  # signs nothing
    assert addresses.same_keys([one, one, ticker]) == []
    [found] = addresses.same_keys([one, dataclasses.replace(other, host="another")])
    assert found.code == "secret_keys_differ" and "another" in found.says


def test_a_place_that_is_well_has_no_findings_and_each_fault_adds_its_own(
    sqlite_settings: Settings, ledger: Database
) -> None:
    from core.models.registry import PRODUCTION, register_model
    from core.store import Store

    store = Store(sqlite_settings)
    store.ensure_bucket()
    version = register_model(ledger, store, sqlite_settings.model_folder, name="default", alias=PRODUCTION)
    tick(ledger, FakeDoorbell(), sqlite_settings)
    note(sqlite_settings, me("ticker", sqlite_settings))
    random_key = type(sqlite_settings.secret_key)("Zq8xV3nB7mK1pL5tR9wY2cF6hJ4dG0sA")
    settings = sqlite_settings.model_copy(update={"secret_key": random_key})
    assert of_a_place(settings) == []
    key = version.files[0]["key"]
    content = store.get(key)
    store.put(key, content[:-1], "text/plain")
    assert [one.code for one in of_a_place(settings)] == ["weights_changed"]
    store.delete(key)
    assert [one.code for one in of_a_place(settings)] == ["weights_missing"]
    store.put(key, content, "text/plain")
    with ledger.write() as session:
        session.execute(update(Worker).values(ended_at=None))
    away = settings.model_copy(update={"broker_url": type(settings.broker_url)("redis://127.0.0.1:1")})
    assert [one.code for one in of_a_place(away)] == ["broker_unreachable"], (
        "of a ticker nothing is known then"
    )
