"""Reading, writing and the clock."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, text

from core.bootstrap import migrate
from core.errors import InvalidSettings
from core.ledger.database import GONE_SECONDS, SAFE_SQLITE, Database, now
from core.ledger.tables import User
from tests.factories import Ledger
from tests.servers import Postgres


def test_eight_writers_at_once_are_never_told_that_the_database_is_locked(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.sqlite3'}"
    migrate(url)
    with Database(url).write() as session:
        session.add(User(id="u", name="0", role="viewer", created_at=now(session)))
    problems: list[BaseException] = []

    def count() -> None:
        database = Database(url)
        try:
            for _ in range(25):
                with database.write() as session:  # read first, then write: what a deferred BEGIN refuses
                    user = session.scalars(select(User)).one()
                    user.name = str(int(user.name) + 1)
        except BaseException as problem:  # noqa: BLE001 - whatever it is, the test must see it
            problems.append(problem)
        finally:
            database.dispose()

    threads = [threading.Thread(target=count) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    with Database(url).read() as session:
        assert session.scalars(select(User.name)).one() == "200"


def test_sqlite_is_a_library_without_the_wal_reset_bug_and_keeps_a_wal(tmp_path: Path) -> None:
    with Database(f"sqlite:///{tmp_path / 'x.sqlite3'}").read() as session:
        version = tuple(int(part) for part in session.scalar(text("SELECT sqlite_version()")).split("."))
        assert version >= SAFE_SQLITE
        assert session.scalar(text("PRAGMA journal_mode")) == "wal"
        assert session.scalar(text("PRAGMA synchronous")) == 2


def test_the_clock_is_aware_and_close_to_ours(ledger: Ledger) -> None:
    with ledger.database.read() as session:
        assert abs(now(session) - datetime.now(UTC)) < timedelta(seconds=5)


def test_times_come_back_as_they_were_written(ledger: Ledger) -> None:
    moment = datetime(2026, 3, 29, 1, 30, 0, 123000, tzinfo=UTC)
    with ledger.database.write() as session:
        session.add(User(id="u", name="x", role="viewer", created_at=moment))
    with ledger.database.read() as session:
        assert session.scalars(select(User.created_at)).one() == moment


def test_a_failed_write_leaves_nothing(ledger: Ledger) -> None:
    with pytest.raises(ZeroDivisionError), ledger.database.write() as session:
        session.add(User(id="u", name="x", role="viewer", created_at=now(session)))
        session.flush()
        raise ZeroDivisionError
    with ledger.database.read() as session:
        assert session.scalars(select(User)).all() == []


def test_another_kind_of_database_is_refused() -> None:
    with pytest.raises(InvalidSettings, match="SQLite or PostgreSQL"):
        Database("mysql://localhost/x")


def test_a_connection_to_postgresql_is_given_up_when_the_other_end_is_silent(postgres: Postgres) -> None:
    with postgres.database() as url:
        database = Database(url)
        with database.engine.connect() as connection:
            given = connection.connection.driver_connection.info.get_parameters()
            idle = connection.exec_driver_sql("SHOW idle_in_transaction_session_timeout").scalar()
        database.dispose()
    assert (given["tcp_user_timeout"], given["keepalives_idle"]) == (str(GONE_SECONDS * 1000), "10")
    assert idle == "2min"
