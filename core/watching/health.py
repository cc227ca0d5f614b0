"""Whether the parts of the service answer, and how fast: for the page of health, the API and scripts that watch.

Every check is by itself: one that fails says so and keeps no other from being made.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import redis
from sqlalchemy import func, make_url, select, text
from sqlalchemy.exc import SQLAlchemyError

from core.claims.worker_queries import list_queues
from core.config import Settings
from core.errors import VoicesketchError
from core.identifiers import new_id
from core.ledger.database import Database, now
from core.ledger.tables import Outbox, Worker
from core.ledger.write_lock import holder_of_write_lock
from core.store import Store

_SHOWN = ("voicesketch", "celery", "redis", "sqlalchemy", "boto3", "flask", "gunicorn")
_LARGE_WAL_BYTES = 256 * 2**20
_WRITE_WAITS_SECONDS = 2.0
_FULL_DISK_BYTES = 2**20
_LEAST_DISK_BYTES = 2**30
_MOST_SKEW_SECONDS = 5.0
_BELL_WAITS_SECONDS = 60.0
_WORKER_SILENT_SECONDS = 120.0
_NOBODY_SECONDS = 60.0  # a worker enters itself with its first work


@dataclass(frozen=True)
class Check:
    """What one part answered.

    Attributes:
        state: ok, warning (works, but look at it) or failed.
        milliseconds: that it took.
        do: what helps, where something is wrong.
    """

    name: str
    state: str
    says: str
    milliseconds: float
    facts: dict[str, Any] = field(default_factory=dict)
    do: str = ""


@dataclass(frozen=True)
class Health:
    state: str  # the worst of its checks
    at: datetime
    checks: tuple[Check, ...]
    versions: dict[str, str]


# What helps where a part does not answer at all.
_DO = {
    "ledger": "See that the database named by VOICESKETCH_DATABASE_URL runs and takes connections from here.",
    "clock": "See to the ledger first.",
    "broker": "See that Valkey or Redis runs at VOICESKETCH_BROKER_URL. Work goes on once it is back; none is lost.",
    "object store": "See that the S3 service at VOICESKETCH_S3_ENDPOINT_URL runs, and that key and bucket are right.",
    "ticker": "See to the ledger first.",
    "workers": "See to the ledger first.",
    "disk": "See that the folder of the ledger is there.",
}


class _Unwell(Exception):
    """Raised by a check that has something to say."""

    def __init__(self, state: str, says: str, do: str = "", **facts: Any) -> None:
        super().__init__(says)
        self.state, self.says, self.do, self.facts = state, says, do, facts


Answer = tuple[str, dict[str, Any]]


def check_health(settings: Settings, database: Database, store: Store) -> Health:
    """Asks every part, one after another. Writes nothing but one small object, which it removes again."""
    checks = (
        _check("ledger", lambda: _ledger(database)),
        _check("clock", lambda: _clock(database)),
        _check("broker", lambda: _broker(settings)),
        _check("object store", lambda: _store(store)),
        _check("ticker", lambda: _ticker(database)),
        _check("workers", lambda: _workers(database)),
        _check("disk", lambda: _disk(database)),
    )
    states = {check.state for check in checks}
    worst = "failed" if "failed" in states else "warning" if "warning" in states else "ok"
    return Health(worst, datetime.now(UTC), checks, _versions())


def _check(name: str, ask: Callable[[], Answer]) -> Check:
    began = time.perf_counter()
    state, do = "ok", ""
    facts: dict[str, Any] = {}
    try:
        says, facts = ask()
    except _Unwell as found:
        state, says, do, facts = found.state, found.says, found.do, found.facts
    except VoicesketchError as error:
        # Its message may name addresses and keys of this installation, which only the log is for.
        state, says, do = "failed", f"It does not answer ({error.code}).", _DO[name]
    except (SQLAlchemyError, redis.RedisError, OSError) as error:
        state, says, do = "failed", f"It does not answer ({type(error).__name__}).", _DO[name]
    return Check(name, state, says, round((time.perf_counter() - began) * 1000, 1), facts, do)


def _ledger(database: Database) -> Answer:
    with database.read() as session:
        sqlite = session.get_bind().dialect.name == "sqlite"
        version = str(session.scalar(text("SELECT sqlite_version()" if sqlite else "SHOW server_version")))
    facts: dict[str, Any] = {"kind": "SQLite" if sqlite else "PostgreSQL", "version": version}
    if (path := _file(database)) is not None:
        wal = path.with_name(path.name + "-wal")
        facts["bytes"] = path.stat().st_size
        facts["wal_bytes"] = wal.stat().st_size if wal.exists() else 0
        if facts["wal_bytes"] > _LARGE_WAL_BYTES:
            says = "Its write-ahead log grows; some reader has been at it for long."
            do = "Restart the dashboard, or end the program that has read for so long."
            raise _Unwell("warning", says, do, **facts)
        if not database.can_be_written(_WRITE_WAITS_SECONDS):
            raise _held_up(path, facts)
    return f"{facts['kind']} {version} answers.", facts


def _held_up(path: Path, facts: dict[str, Any]) -> _Unwell:
    """A process that stands still in the middle of a write keeps all others from writing until it goes on or ends."""
    holder = holder_of_write_lock(path)
    if holder is None:
        says = f"Nothing could be written for {_WRITE_WAITS_SECONDS:.0f} s; somebody is at a long write."
        return _Unwell("warning", says, "Look again in a minute. Nothing is lost meanwhile.", **facts)
    facts = {**facts, "writer": {"pid": holder.pid, "name": holder.name, "stopped": holder.stands_still}}
    if holder.stands_still:
        says = f"Nobody can write: process {holder.pid} ({holder.name}) was stopped in the middle of a write."
        do = f"Let it go on (kill -CONT {holder.pid}) or end it (kill -9 {holder.pid}). Neither loses anything."
        return _Unwell("failed", says, do, **facts)
    says = f"Process {holder.pid} ({holder.name}) has been writing for {_WRITE_WAITS_SECONDS:.0f} s; others wait."
    return _Unwell("warning", says, "Look again in a minute. Nothing is lost meanwhile.", **facts)


def _clock(database: Database) -> Answer:
    with database.read() as session:
        skew = (now(session) - datetime.now(UTC)).total_seconds()
    if abs(skew) > _MOST_SKEW_SECONDS:
        says = f"This machine and the ledger differ by {abs(skew):.0f} s."
        raise _Unwell("warning", says, "Set both by a time server.", skew_seconds=skew)
    return "This machine and the ledger agree on the time.", {"skew_seconds": round(skew, 3)}


def _broker(settings: Settings) -> Answer:
    client = redis.Redis.from_url(
        settings.broker_url.get_secret_value(), socket_timeout=3, socket_connect_timeout=3
    )
    try:
        client.ping()
        told: Any = client.info("server")
    finally:
        client.close()
    version = str(told.get("valkey_version") or told.get("redis_version") or "")
    return "It answers.", {"version": version}


def _store(store: Store) -> Answer:
    key, content = f"health/{new_id('check')}", b"voicesketch"
    store.put(key, content, "text/plain")
    try:
        if store.get(key) != content:
            do = "Trust nothing in this store before you know why."
            raise _Unwell("failed", "It gave back something else than it was given.", do)
    finally:
        store.delete(key)
    return "It keeps, gives back and removes.", {}


def _ticker(database: Database) -> Answer:
    with database.read() as session:
        oldest = session.scalar(select(func.min(Outbox.created_at)).where(Outbox.published_at.is_(None)))
        waited = (now(session) - oldest).total_seconds() if oldest is not None else 0.0
    if waited > _BELL_WAITS_SECONDS:
        says = f"A doorbell has waited for {waited:.0f} s; the ticker or the broker is away."
        do = "See to the broker first; then see that the ticker runs (python -m core.ticker)."
        raise _Unwell("failed", says, do, oldest_bell_seconds=waited)
    return "No doorbell waits for long.", {"oldest_bell_seconds": round(waited, 1)}


def _workers(database: Database) -> Answer:
    with database.read() as session:
        at = now(session)
        seen = session.scalars(select(Worker.seen_at).where(Worker.ended_at.is_(None))).all()
        forsaken = [queue for queue in list_queues(session) if queue.items and not queue.workers]
    silent = sum((at - one).total_seconds() > _WORKER_SILENT_SECONDS for one in seen)
    facts = {"present": len(seen), "silent": silent}
    if silent:
        says = f"{silent} of {len(seen)} have not been heard of for two minutes."
        do = "Look at their machines. What they held is given to others by itself."
        raise _Unwell("warning", says, do, **facts)
    for queue in forsaken:
        if (queue.oldest_wait_seconds or 0.0) > _NOBODY_SECONDS:
            says = f"{queue.items:,} items wait in the queue {queue.name}, and no worker claims from it."
            do = "Start a worker for that queue, or let a drained one claim again."
            raise _Unwell("warning", says, do, **facts)
    if not seen:
        return "None has reported yet; one does with its first work.", facts
    return f"{len(seen)} here, heard of lately.", facts


def _disk(database: Database) -> Answer:
    path = _file(database)
    usage = shutil.disk_usage(path.parent if path is not None else Path.cwd())
    facts = {"free_bytes": usage.free, "total_bytes": usage.total}
    if usage.free < _FULL_DISK_BYTES:
        do = "Make room. Work goes on by itself within a minute or two; nothing that was accepted is lost."
        raise _Unwell(
            "failed", "The disk where the ledger lies is full: nothing can be written.", do, **facts
        )
    if usage.free < _LEAST_DISK_BYTES:
        do = "Make room, or let old things go by a rule: voicesketch retention set faces --days 30."
        raise _Unwell("failed", "Less than 1 GiB is free where the ledger lies.", do, **facts)
    return f"{usage.free / 2**30:,.0f} GiB are free.", facts


def _file(database: Database) -> Path | None:
    """The file of an SQLite ledger."""
    url = make_url(str(database.engine.url.render_as_string(hide_password=False)))
    if url.get_backend_name() != "sqlite" or not url.database or url.database == ":memory:":
        return None
    return Path(url.database)


def _versions() -> dict[str, str]:
    found = {}
    for name in _SHOWN:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
