"""Mistakes around the ledger, each made for real where that is cheap, and found."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import make_url, text, update

from core.claims.workers import register_worker
from core.doctor import ledger
from core.doctor.findings import Finding
from core.ledger.database import Database
from core.ledger.schema_fit import known_revisions
from core.ledger.tables import Worker
from core.stack.ports import choose
from core.watching.presence import Presence
from tests.ledgers import make_ledger
from tests.servers import Postgres

TICKER = Presence("ticker", "host", 1, "code", "key")


def codes(findings: list[Finding]) -> list[str]:
    return [finding.code for finding in findings]


@pytest.fixture
def database(database_url: str) -> Database:
    make_ledger(database_url)
    return Database(database_url)


def refused(url: str) -> list[str]:
    database, found = ledger.opened(url)
    assert database is None
    assert all(one.do and "secret-of-the-test" not in one.sentence() for one in found)
    return codes(found)


def test_a_server_that_is_not_there_is_named() -> None:
    port = choose(["any"])["any"]
    assert refused(f"postgresql://me:secret-of-the-test@127.0.0.1:{port}/faces") == ["ledger_unreachable"]


def test_a_wrong_user_and_a_wrong_name_are_told_apart(postgres: Postgres) -> None:
    with postgres.database() as url:
        whole = make_url(url)
        nobody = whole.set(username="nobody", password="secret-of-the-test")
        assert refused(nobody.render_as_string(hide_password=False)) == ["ledger_refuses"]
        elsewhere = whole.set(database="elsewhere").render_as_string(hide_password=False)
        assert refused(elsewhere) == ["ledger_missing"]
        opened, found = ledger.opened(url)
        assert opened is not None and found == []
        opened.dispose()


@pytest.mark.parametrize(
    "said", ["password authentication failed for user", "fe_sendauth: no password supplied"]
)
def test_a_wrong_password_is_known_by_what_the_server_says(said: str) -> None:
    assert ledger._refused(make_url("postgresql://me@host/faces"), f"FATAL: {said}").code == "ledger_refuses"


def test_addresses_and_files_that_are_none_are_named(tmp_path: Path) -> None:
    assert refused("what is this") == ["ledger_address"]
    assert refused("mysql://me@host/faces") == ["ledger_address"]
    assert refused(f"sqlite:///{tmp_path}/missing.sqlite3") == ["ledger_missing"]
    broken = tmp_path / "broken.sqlite3"
    broken.write_bytes(b"no database at all, but long enough to be looked at" * 40)
    assert refused(f"sqlite:///{broken}") == ["ledger_unreadable"]


def test_tables_of_another_version_are_told_as_behind_ahead_or_none(database: Database) -> None:
    def of(revision: str) -> list[Finding]:
        with database.write() as session:
            session.execute(text("UPDATE alembic_version SET version_num = :to"), {"to": revision})
        with database.read() as session:
            return ledger.tables(session)

    newest = known_revisions()[-1]
    assert of(newest) == []
    assert codes(of(known_revisions()[-2])) == ["ledger_behind"]
    [ahead] = of("9999")
    assert (ahead.code, ahead.severity) == ("ledger_ahead", "warning")
    with database.write() as session:
        session.execute(text("DROP TABLE alembic_version"))
    with database.read() as session:
        assert codes(ledger.tables(session)) == ["ledger_empty"]
    database.dispose()


def test_more_workers_than_postgresql_has_connections_for_are_noticed(postgres: Postgres) -> None:
    with postgres.database(made=False) as url:
        make_ledger(url)
        database = Database(url)
        with database.read() as session:
            assert ledger.server(session, [TICKER]) == []
        with database.write() as session:
            for _ in range(30):
                register_worker(session, queue="gpu", device="cpu")
        with database.read() as session:
            [found] = ledger.server(session, [TICKER, TICKER])
        assert (found.code, found.severity) == ("too_few_connections", "warning")
        assert "30 workers" in found.says
        with database.write() as session:
            session.execute(update(Worker).values(ended_at=Worker.started_at))
        with database.read() as session:
            assert ledger.server(session, []) == []
        database.dispose()


def test_an_old_postgresql_is_named() -> None:
    assert codes(ledger.version(140011)) == ["postgresql_old"]
    assert ledger.version(150000) == ledger.version(180001) == []


def test_a_clock_that_is_off_is_noticed(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    with database.read() as session:
        assert ledger.clock(session) == []
        right = ledger.now
        monkeypatch.setattr(ledger, "now", lambda session: right(session) + timedelta(hours=1))
        [found] = ledger.clock(session)
    assert found.code == "clock_off"
    assert "3,600 s" in found.says or "3,599 s" in found.says
    database.dispose()


def test_sqlite_on_a_network_is_known_by_what_is_mounted() -> None:
    mounts = (
        "/dev/sda1 / ext4 rw 0 0\nserver:/home /home nfs4 rw 0 0\n/dev/sdb /home/fast\\040disk xfs rw 0 0\n"
    )
    assert codes(ledger.place_of_file("sqlite:////home/me/ledger.sqlite3", mounts)) == ["sqlite_on_network"]
    assert ledger.place_of_file("sqlite:////home/fast disk/ledger.sqlite3", mounts) == []
    assert ledger.place_of_file("sqlite:////var/ledger.sqlite3", mounts) == []
    assert ledger.place_of_file("postgresql://host/name", mounts) == []
    assert ledger.file_system_of(Path("/proc/self")) == "proc"


def test_every_finding_of_the_ledger_says_what_to_do() -> None:
    for finding in (*ledger.version(90000), *ledger.connections(1, 1, 1, 1)):
        assert all(dataclasses.astuple(finding))
