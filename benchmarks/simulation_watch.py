"""What the server of `benchmarks.simulation` does meanwhile: who waits for what, and what it writes."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

from benchmarks.simulation_server import connected

_EVERY_SECONDS = 0.05
_AT_WORK = (
    "SELECT coalesce(wait_event_type, 'none'), coalesce(wait_event, 'at work'), count(*) FROM pg_stat_activity "
    "WHERE datname = current_database() AND application_name = 'voicesketch' AND state = 'active' GROUP BY 1, 2"
)
_NOT_GRANTED = "SELECT locktype, count(*) FROM pg_locks WHERE NOT granted GROUP BY 1"
_TABLES = (
    "SELECT relname, n_tup_ins, n_tup_upd, n_tup_hot_upd, n_live_tup, n_dead_tup, "
    "pg_table_size(relid), pg_indexes_size(relid) "
    "FROM pg_stat_user_tables WHERE relname = ANY(%s)"
)
_OF_A_FACE = (
    "items",
    "recordings",
    "recording_owners",
    "drawings",
    "artifacts",
    "transitions",
    "attempts",
    "jobs",
)
_STATEMENTS = (
    "SELECT calls, total_exec_time, left(regexp_replace(query, '\\s+', ' ', 'g'), 160) FROM pg_stat_statements "
    "WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database()) "
    "ORDER BY total_exec_time DESC LIMIT 25"
)


class Seen:
    """Samples of what connections waited for.

    Attributes:
        samples: how many.
        waits: connections found waiting, by type and event, in all samples together.
        locks: the same by the kind of lock that was not granted.
    """

    def __init__(self) -> None:
        self.samples = 0
        self.waits: Counter[str] = Counter()
        self.locks: Counter[str] = Counter()

    def means(self) -> dict[str, float]:
        """Connections in each kind of wait at an average moment, the most frequent first."""
        return {what: round(count / max(self.samples, 1), 2) for what, count in self.waits.most_common(8)}

    def lock_means(self) -> dict[str, float]:
        return {what: round(count / max(self.samples, 1), 2) for what, count in self.locks.most_common()}


@contextmanager
def watching(url: str) -> Iterator[Seen]:
    """Looks twenty times a second until it is left."""
    seen, ended = Seen(), threading.Event()

    def look() -> None:
        with connected(url) as connection:
            while not ended.wait(_EVERY_SECONDS):
                for kind, event, count in connection.execute(_AT_WORK):
                    seen.waits[f"{kind}: {event}"] += count
                for kind, count in connection.execute(_NOT_GRANTED):
                    seen.locks[kind] += count
                seen.samples += 1

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        ended.set()
        thread.join()


def written(connection: psycopg.Connection) -> dict[str, Any]:
    """Counters of the server: bytes of the log, commits, and what was done to each table."""
    connection.execute("SELECT pg_stat_force_next_flush()")
    time.sleep(0.1)
    row = connection.execute(
        "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint, xact_commit, deadlocks FROM pg_stat_database "
        "WHERE datname = current_database()"
    ).fetchone()
    assert row is not None
    names = ("inserted", "updated", "updated_in_place", "rows", "dead", "table_bytes", "index_bytes")
    tables = {
        name: dict(zip(names, counts, strict=True))
        for name, *counts in connection.execute(_TABLES, [list(_OF_A_FACE)]).fetchall()
    }
    connections = connection.execute(
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'voicesketch'"
    ).fetchone()
    assert connections is not None
    return {
        "log_bytes": int(row[0]),
        "commits": row[1],
        "deadlocks": row[2],
        "connections": connections[0],
        "tables": tables,
    }


def forget_statements(url: str) -> None:
    with connected(url) as connection:
        connection.execute("SELECT pg_stat_statements_reset()")


def statements(url: str) -> list[tuple[int, float, str]]:
    """The statements that took longest together: calls, milliseconds of all of them, the beginning of the text."""
    with connected(url) as connection:
        rows = connection.execute(_STATEMENTS).fetchall()
    return [(calls, float(spent), text) for calls, spent, text in rows]
