"""The next migration runs while workers claim and publish: nobody fails or waits long, and nothing is lost."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import inspect, select, text

from core.config import Settings, to_environment
from core.errors import Conflict
from core.ledger.database import Database
from core.ledger.migrating import alone, migrate, upgrade
from core.ledger.tables import ModelVersion, User
from tests.conftest import REPOSITORY, settings_for
from tests.core.migrations.next_versions import CARELESS, USUAL, with_one_more
from tests.core.migrations.traffic import Traffic, enter_large_job, traffic
from tests.factories import Ledger
from tests.ledgers import make_ledger
from tests.servers import ObjectStore, Postgres

_MILLION = 1_000_000


@pytest.fixture
def server_url(postgres: Postgres) -> Iterator[str]:
    with postgres.database(made=False) as url:
        make_ledger(url)
        yield url


def check(ledger: Ledger, job_id: str, *, left: bool) -> None:
    """Counters say what the rows say, every row got its shade, and the index is there."""
    assert ledger.counters(job_id) == ledger.counted(job_id)
    assert left or ledger.get(job_id).pending == 0
    with ledger.database.read() as session:
        wrong = text("SELECT count(*) FROM items WHERE shade IS NULL OR shade <> position % 7")
        assert session.scalar(wrong) == 0
    indexes = {index["name"] for index in inspect(ledger.database.engine).get_indexes("items")}
    assert "ix_items_shade" in indexes


def test_work_goes_on_while_a_column_is_added_filled_and_indexed(database_url: str, tmp_path: Path) -> None:
    make_ledger(database_url)
    ledger = Ledger(Database(database_url))
    job_id = ledger.job(400)
    scripts = with_one_more(tmp_path, USUAL, rows=50)
    with traffic(database_url, size=4) as seen:
        seen.wait_for(3)
        before = seen.claims
        migrate(database_url, scripts=scripts)
        assert seen.claims > before, "nobody could work meanwhile"
    assert seen.errors == []
    check(ledger, job_id, left=True)
    ledger.database.dispose()


def test_a_change_gives_way_and_comes_again_where_a_table_is_held(server_url: str, tmp_path: Path) -> None:
    ledger = Ledger(Database(server_url))
    scripts = with_one_more(tmp_path, 'add_columns("items", sa.Column("shade", sa.Integer(), nullable=True))')
    waits: list[float] = []
    with ledger.database.engine.connect() as connection:
        connection.execute(text("SELECT count(*) FROM items"))  # a backup looks at one moment for minutes

        def sleep(seconds: float) -> None:
            waits.append(seconds)
            ledger.job(1)  # whoever wants the table meanwhile gets it
            connection.rollback()

        upgrade(server_url, scripts=scripts, sleep=sleep)
    assert len(waits) == 1
    assert "shade" in {column["name"] for column in inspect(ledger.database.engine).get_columns("items")}
    ledger.database.dispose()


def test_one_who_never_lets_go_is_told_of_in_a_sentence(server_url: str, tmp_path: Path) -> None:
    database = Database(server_url)
    scripts = with_one_more(tmp_path, 'add_columns("items", sa.Column("shade", sa.Integer(), nullable=True))')
    with database.engine.connect() as connection:
        connection.execute(text("SELECT count(*) FROM items"))
        with pytest.raises(Conflict, match="a transaction holds one of them"):
            upgrade(server_url, scripts=scripts, patience_seconds=0)
    database.dispose()


def test_a_ledger_of_a_newer_version_is_left_alone_with_a_sentence(sqlite_database_url: str) -> None:
    make_ledger(sqlite_database_url)
    database = Database(sqlite_database_url)
    with database.write() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(Conflict, match="A newer version of voicesketch made this ledger"):
        migrate(sqlite_database_url)
    database.dispose()


def test_one_prepares_and_the_others_wait(
    postgres: Postgres, broker_url: str, object_store: ObjectStore, tmp_path: Path
) -> None:
    """Tables, bucket, administrator and model are made once, whoever else makes them at the same time."""
    with postgres.database() as url:
        _prepare_twice_at_once(settings_for(url, broker_url, object_store), tmp_path)


def _prepare_twice_at_once(settings: Settings, tmp_path: Path) -> None:
    url = settings.database_url
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), **to_environment(settings)}
    command = [sys.executable, "-m", "core.bootstrap"]
    with alone(url):
        waiting = [
            subprocess.Popen(
                command,
                cwd=REPOSITORY,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for _ in range(2)
        ]
        with pytest.raises(Conflict, match="Another process has been preparing this ledger"):
            next(_try_to_be_alone(url))
        assert {one.poll() for one in waiting} == {None}
    for one in waiting:
        told, errors = one.communicate(timeout=120)
        assert (one.returncode, told[:6]) == (0, "Ready."), errors
    database = Database(url)
    with database.read() as session:
        assert session.scalars(select(User.name)).all() == ["admin"]
        assert session.scalars(select(ModelVersion.version)).all() == [1]
    database.dispose()


def _try_to_be_alone(url: str) -> Iterator[None]:
    with alone(url, patience_seconds=0):
        yield


def test_a_folder_is_prepared_by_one_at_a_time(sqlite_database_url: str) -> None:
    with (
        alone(sqlite_database_url),
        pytest.raises(Conflict, match="Another process has been preparing this ledger"),
    ):
        next(_try_to_be_alone(sqlite_database_url))
    with pytest.raises(ZeroDivisionError), alone(sqlite_database_url):
        raise ZeroDivisionError
    next(_try_to_be_alone(sqlite_database_url))


def test_an_index_whose_build_was_broken_off_is_built_anew(server_url: str, tmp_path: Path) -> None:
    ledger = Ledger(Database(server_url))
    ledger.job(3)
    with ledger.database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        with pytest.raises(Exception, match="could not create unique index"):
            connection.execute(text("CREATE UNIQUE INDEX CONCURRENTLY ix_items_lost ON items (lost)"))
        migrate(server_url, scripts=with_one_more(tmp_path, 'add_index("ix_items_lost", "items", ["lost"])'))
        valid = text("SELECT indisvalid FROM pg_index WHERE indexrelid = 'ix_items_lost'::regclass")
        assert connection.scalar(valid) is True
    ledger.database.dispose()


def test_rows_that_somebody_holds_are_filled_later(server_url: str, tmp_path: Path) -> None:
    ledger = Ledger(Database(server_url))
    job_id = ledger.job(30)
    # The column is there already, or whoever holds rows would keep it from being added.
    with ledger.database.write() as session:
        session.execute(text("ALTER TABLE items ADD COLUMN shade integer"))
    held = ledger.database.engine.connect()
    held.execute(text("SELECT id FROM items WHERE position < 15 FOR UPDATE"))
    letting_go = threading.Timer(1.0, held.rollback)
    began = time.monotonic()
    letting_go.start()
    migrate(server_url, scripts=with_one_more(tmp_path, USUAL, rows=10))
    letting_go.join()
    assert time.monotonic() - began >= 0.9
    held.close()
    check(ledger, job_id, left=True)
    ledger.database.dispose()


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_a_million_rows_are_changed_under_traffic_and_nobody_waits_long(
    postgres: Postgres, tmp_path: Path
) -> None:
    """And the same without care, to see that there was something to wait for."""
    longest = {}
    for name, lines in (("usual", USUAL), ("careless", CARELESS)):
        folder = tmp_path / name
        folder.mkdir()
        with postgres.database(made=False) as url:
            make_ledger(url)
            ledger = Ledger(Database(url))
            job_id = enter_large_job(ledger, _MILLION)
            with traffic(url, size=32) as seen:
                seen.wait_for(20)
                began, before = time.monotonic(), seen.claims
                migrate(url, scripts=with_one_more(folder, lines, rows=1000))
                seconds, claims = time.monotonic() - began, seen.claims - before
                seen.wait_for(5)
            _tell(name, seen, seconds, claims)
            longest[name] = seen.longest_seconds
            assert seen.errors == []
            if name == "usual":
                assert claims > 20
            check(ledger, job_id, left=True)
            ledger.database.dispose()
    assert longest["usual"] < longest["careless"] / 2


def _tell(name: str, seen: Traffic, seconds: float, claims: int) -> None:
    sys.stdout.write(
        f"\n{name}: {seconds:.1f} s for {_MILLION:,} rows; meanwhile {claims} chunks of 32 were claimed and "
        f"published, the longest transaction took {seen.longest_seconds:.2f} s\n"
    )
