"""Ledgers for tests, copied from one that was migrated: migrating anew takes longer than most tests do."""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path

import psycopg
from sqlalchemy import URL, make_url

from core.bootstrap import migrate

_TEMPLATE = "migrated_for_tests"


def make_ledger(database_url: str) -> None:
    """Makes a database that is empty, or not there yet, what `core.bootstrap.migrate` would make of it."""
    url = make_url(database_url)
    if url.get_backend_name() == "sqlite":
        assert url.database is not None
        Path(url.database).write_bytes(_migrated_file())
    else:
        _copy_in_server(url)


@functools.cache
def _migrated_file() -> bytes:
    with tempfile.TemporaryDirectory(prefix="voicesketch-ledger-") as folder:
        file = Path(folder) / "ledger.sqlite3"
        migrate(f"sqlite+pysqlite:///{file}")
        assert [left.name for left in file.parent.iterdir()] == [file.name], "it is not all in one file"
        return file.read_bytes()


def _copy_in_server(url: URL) -> None:
    with psycopg.connect(_address(url.set(database="postgres")), autocommit=True) as connection:
        known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [_TEMPLATE]).fetchone()
        if known is None:
            connection.execute(f'CREATE DATABASE "{_TEMPLATE}"')
            migrate(url.set(database=_TEMPLATE).render_as_string(hide_password=False))
        connection.execute(f'DROP DATABASE IF EXISTS "{url.database}"')
        connection.execute(f'CREATE DATABASE "{url.database}" TEMPLATE "{_TEMPLATE}" STRATEGY file_copy')


def _address(url: URL) -> str:
    return url.set(drivername="postgresql").render_as_string(hide_password=False)
