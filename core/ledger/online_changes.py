"""What migrations change tables with while others work on them.

Each change here is short, or goes beside the traffic in small pieces, and can be given again: what is outside of a
transaction stays when a later part fails, and the migration then begins anew. docs/upgrading.md has the rules.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy import Connection, text

from core.ledger.migrating import LOCK_TIMEOUT_MILLISECONDS

ROWS_AT_ONCE = 1000
# Rows that somebody holds are left for later. Nobody holds one through so many rounds.
_FRUITLESS_ROUNDS = 120
_SHORTEST_PAUSE_SECONDS = 0.01


def add_columns(table: str, *columns: sa.Column[object]) -> None:
    """Adds the columns that are not there yet. No row is written, whatever the size of the table.

    Args:
        columns: which may be empty, or have a constant for a default.
    """
    there = {column["name"] for column in sa.inspect(op.get_bind()).get_columns(table)}
    for column in columns:
        if not column.nullable and column.server_default is None:
            raise ValueError(f"{table}.{column.name}: processes of before enter rows without it")
        if column.name not in there:
            op.add_column(table, column)


def add_index(
    name: str, table: str, columns: Sequence[str], *, unique: bool = False, where: str | None = None
) -> None:
    """Builds an index: on PostgreSQL beside the traffic; on SQLite nobody writes meanwhile (a second a million rows).

    Args:
        where: condition of the rows that are in it, in SQL of both.
    """
    partial: dict[str, Any] = (
        {} if where is None else {"postgresql_where": text(where), "sqlite_where": text(where)}
    )
    if _is_sqlite():
        op.create_index(name, table, list(columns), unique=unique, if_not_exists=True, **partial)
        return
    with _beside_the_traffic() as connection:
        # What a build that was broken off has left is no index.
        broken = text(
            "SELECT 1 FROM pg_index WHERE indexrelid = to_regclass(:name) AND NOT indisvalid"
        ).bindparams(name=name)
        if connection.scalar(broken):
            op.drop_index(name, postgresql_concurrently=True)
        op.create_index(
            name,
            table,
            list(columns),
            unique=unique,
            if_not_exists=True,
            postgresql_concurrently=True,
            **partial,
        )


def remove_index(name: str, table: str) -> None:
    """Removes an index that no version in use needs."""
    if _is_sqlite():
        op.drop_index(name, table, if_exists=True)
        return
    with _beside_the_traffic():
        op.drop_index(name, table, if_exists=True, postgresql_concurrently=True)


def backfill(
    table: str, values: Mapping[str, str], *, where: str, key: str = "id", rows: int = ROWS_AT_ONCE
) -> int:
    """Writes into rows that are there already, some at a time, each time in a transaction of its own.

    Args:
        values: an SQL expression for each column to write.
        where: condition of the rows that still need it; false for a row once it was written.
        key: the column of the primary key, by whose order it goes.

    Returns:
        how many rows were written.
    """
    written = fruitless = 0
    while fruitless < _FRUITLESS_ROUNDS:
        now = _one_round(table, values, where, key, rows)
        written += now
        if op.get_bind().execute(text(f"SELECT 1 FROM {table} WHERE {where} LIMIT 1")).first() is None:  # noqa: S608
            return written
        fruitless = 0 if now else fruitless + 1
        if not now:
            time.sleep(0.5)
    raise RuntimeError(f"rows of {table} stay as they were: {where}")


def _one_round(table: str, values: Mapping[str, str], where: str, key: str, rows: int) -> int:
    chosen = (
        f"SELECT {key} FROM {table} WHERE {key} > :after AND {key} <= :last AND ({where})"  # noqa: S608
        # Who waits for nobody is in nobody's way: no deadlock, whatever order others take rows in.
        + ("" if _is_sqlite() else " FOR NO KEY UPDATE SKIP LOCKED")
    )
    setting = ", ".join(f"{name} = {value}" for name, value in values.items())
    write = text(f"UPDATE {table} SET {setting} WHERE {key} IN ({chosen})")  # noqa: S608
    first = text(f"SELECT {key} FROM {table} ORDER BY {key} LIMIT 1")  # noqa: S608
    # The last key of the next piece; at the end of the table, the last one there is.
    last_of = text(
        f"SELECT max({key}) FROM (SELECT {key} FROM {table} WHERE {key} > :after ORDER BY {key} LIMIT :rows) AS piece"  # noqa: S608
    )
    written = 0
    with _beside_the_traffic() as connection:
        lowest = connection.scalar(first)
        after = None if lowest is None else ("" if isinstance(lowest, str) else lowest - 1)
        while after is not None:
            began = time.monotonic()
            last = connection.scalar(last_of, {"after": after, "rows": rows})
            if last is None:
                break
            written += connection.execute(write, {"after": after, "last": last}).rowcount
            after = last
            _let_others_write(connection, time.monotonic() - began)
    return written


@contextmanager
def _beside_the_traffic() -> Iterator[Connection]:
    """A connection on which each statement is a transaction of its own; on SQLite, one until `_let_others_write`."""
    if _is_sqlite():
        yield op.get_bind()
        return
    with op.get_context().autocommit_block():
        connection = op.get_bind()
        # An index that is built this way waits for old transactions while it holds up nobody.
        connection.exec_driver_sql("SET lock_timeout = 0")
        try:
            yield connection
        finally:
            connection.exec_driver_sql(f"SET lock_timeout = {LOCK_TIMEOUT_MILLISECONDS}")


def _let_others_write(connection: Connection, seconds: float) -> None:
    """Others get as much time as the piece took."""
    pause = max(seconds, _SHORTEST_PAUSE_SECONDS)
    if not _is_sqlite():
        time.sleep(pause)
        return
    connection.exec_driver_sql("COMMIT")
    time.sleep(pause)
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _is_sqlite() -> bool:
    return op.get_bind().dialect.name == "sqlite"
