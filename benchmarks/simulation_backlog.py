"""Writes the backlog of `benchmarks.simulation`: up to ten million waiting items, past the code that makes each.

One job is made as the service makes it; the others are copies of its row, and their recordings and items are written
by the server itself. Whatever is large goes in without indices, which are made anew afterwards.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import sql

from benchmarks.queue_ledger import furnish, opened, submit
from benchmarks.simulation_server import connected
from core.ledger.prepared import table_of
from core.ledger.tables import Job

_TABLES = ("recordings", "recording_owners", "items")
_ROWS_AT_ONCE = 500_000
_LARGE = 300_000  # beyond this, indices are quicker made anew than kept
_TEMPLATE_KEY = "template"


def prepare(url: str, owners: int) -> None:
    """A model, and for each owner one job of one recording, as the service makes it; it is over when filling begins."""
    with opened(url) as database:
        for number in range(owners):
            owner_id, hashes = furnish(database, f"owner {number}", 1)
            submit(database, owner_id, hashes)
    with connected(url) as connection:
        # No worker is to take these: they are there to be copied.
        connection.execute("UPDATE jobs SET idempotency_key = %s, queue = 'none'", [_TEMPLATE_KEY])


def fill(url: str, items: int, jobs: int) -> None:
    """Adds so many waiting items in so many jobs of equal size, whose owners take turns."""
    with connected(url) as connection:
        connection.execute(
            "SET session_replication_role = replica"
        )  # no checks of what is right by construction
        connection.execute("SET synchronous_commit = off")
        if items > _LARGE:
            with _without_indexes(connection):
                _fill(connection, items, jobs)
            connection.execute("VACUUM (ANALYZE)")
            connection.execute("CHECKPOINT")
        else:
            _fill(connection, items, jobs)


def waiting(connection: psycopg.Connection) -> int:
    """Items that can be claimed now."""
    return int(_value(connection, "SELECT coalesce(sum(pending), 0) FROM jobs WHERE queue = 'gpu'"))


def _fill(connection: psycopg.Connection, items: int, jobs: int) -> None:
    templates = connection.execute(
        "SELECT id, owner_id FROM jobs WHERE idempotency_key = %s ORDER BY id", [_TEMPLATE_KEY]
    ).fetchall()
    before = int(_value(connection, "SELECT count(*) FROM jobs"))
    for number in range(jobs):
        template, owner = templates[number % len(templates)]
        job_id = f"job_{before + number:026d}"
        size = items // jobs + (number < items % jobs)
        for first in range(0, size, _ROWS_AT_ONCE):
            last = min(first + _ROWS_AT_ONCE, size) - 1
            _rows(connection, {"job": job_id, "owner": owner, "first": first, "last": last})
        _copy_job(connection, template, job_id, size)


def _rows(connection: psycopg.Connection, given: dict[str, Any]) -> None:
    numbered = (
        "SELECT n, encode(sha256(convert_to(%(job)s || n, 'UTF8')), 'hex') AS sha "
        "FROM generate_series(%(first)s::int, %(last)s::int) n"
    )
    with connection.transaction():
        connection.execute(
            "INSERT INTO recordings (sha256, object_key, size_bytes, media_type, created_at) "
            f"SELECT sha, 'recordings/' || left(sha, 2) || '/' || sha, 160000, 'audio/flac', now() FROM ({numbered})",
            given,
        )
        connection.execute(
            "INSERT INTO recording_owners (sha256, owner_id, created_at) "
            f"SELECT sha, %(owner)s, now() FROM ({numbered})",
            given,
        )
        connection.execute(
            "INSERT INTO items (job_id, position, key, name, recording_sha256, stage, state, attempts, lost) "
            "SELECT %(job)s, n, 'line ' || n, 'day ' || n / 500 || '/voice ' || n || '.flac', sha, 0, 'pending', 0, 0 "
            f"FROM ({numbered})",
            given,
        )


def _copy_job(connection: psycopg.Connection, template: str, job_id: str, size: int) -> None:
    instead: dict[str, Any] = {
        "id": job_id,
        "total": size,
        "pending": size,
        "queue": "gpu",
        "idempotency_key": None,
    }
    names = [column.name for column in table_of(Job).columns]
    values = [sql.Literal(instead[name]) if name in instead else sql.Identifier(name) for name in names]
    connection.execute(
        sql.SQL("INSERT INTO jobs ({}) SELECT {} FROM jobs WHERE id = {}").format(
            sql.SQL(", ").join(map(sql.Identifier, names)), sql.SQL(", ").join(values), sql.Literal(template)
        )
    )


@contextmanager
def _without_indexes(connection: psycopg.Connection) -> Iterator[None]:
    """Takes indices and keys off the large tables, and makes them anew at the end."""
    tables = list(_TABLES)
    constraints = connection.execute(
        "SELECT conrelid::regclass::text, conname, contype::text, pg_get_constraintdef(oid) FROM pg_constraint "
        "WHERE contype IN ('f', 'p', 'u') AND "
        "(conrelid::regclass::text = ANY(%(tables)s) OR confrelid::regclass::text = ANY(%(tables)s)) "
        # Foreign keys go first and come back last.
        "ORDER BY contype <> 'f', contype",
        {"tables": tables},
    ).fetchall()
    indexes = connection.execute(
        "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = ANY(%s) AND indexname NOT IN "
        "(SELECT conname FROM pg_constraint WHERE contype IN ('p', 'u'))",
        [tables],
    ).fetchall()
    for table, name, _, _ in constraints:
        _say(connection, "ALTER TABLE {} DROP CONSTRAINT {}", table, name)
    for name, _ in indexes:
        _say(connection, "DROP INDEX {}", name)
    yield
    for table, name, kind, definition in reversed(constraints):
        # What was just written is right by construction, and what comes is checked all the same.
        unchecked = " NOT VALID" if kind == "f" else ""
        _say(connection, "ALTER TABLE {} ADD CONSTRAINT {} " + definition + unchecked, table, name)
    for _, definition in indexes:
        _say(connection, definition)


def _say(connection: psycopg.Connection, statement: str, *names: str) -> None:
    connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))


def _value(connection: psycopg.Connection, statement: str) -> Any:
    row = connection.execute(statement).fetchone()
    assert row is not None
    return row[0]
