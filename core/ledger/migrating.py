"""Bringing a ledger's tables to another revision, by one process at a time and without holding up those at work.

Two preparations that start together go one after the other: the second finds nothing to do. A change that cannot have
its table within a second gives up the wait, so that nobody queues behind it for longer, and is tried again.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import make_url, text
from sqlalchemy.exc import OperationalError

from core.errors import Conflict, InvalidSettings
from core.ledger.database import Database

MIGRATIONS = Path(__file__).resolve().parents[2] / "migrations"
# How long a change waits for its table on PostgreSQL. Whoever wants the table after it waits as long, too.
LOCK_TIMEOUT_MILLISECONDS = 1000
# As long as a backup may hold on to one moment of the ledger.
_PATIENCE_SECONDS = 900.0
_LONGEST_PAUSE_SECONDS = 10.0
# Any number will do, as long as nobody else locks it in the same database.
_LOCK_NUMBER = 0x766F_6963_6573
_LOOK_AGAIN_SECONDS = 0.25


def migrate(database_url: str, revision: str = "head", *, scripts: Path = MIGRATIONS) -> None:
    """Brings the tables of a ledger to a revision; safe to be called by many at once.

    Raises:
        Conflict: see `upgrade` and `alone`.
    """
    with alone(database_url):
        upgrade(database_url, revision, scripts=scripts)


def upgrade(
    database_url: str,
    revision: str = "head",
    *,
    scripts: Path = MIGRATIONS,
    patience_seconds: float = _PATIENCE_SECONDS,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """The same for whoever is `alone` already.

    Raises:
        Conflict: the ledger belongs to a newer version, or somebody holds a table for longer than one can wait.
    """
    config = Config()
    config.set_main_option("script_location", str(scripts))
    config.attributes["database_url"] = database_url
    until = time.monotonic() + patience_seconds
    pause = 0.5
    while True:
        try:
            command.upgrade(config, revision)
            return
        except CommandError as error:
            if "Can't locate revision" not in str(error):
                raise
            raise Conflict(
                "A newer version of voicesketch made this ledger; run that version, or restore a backup of before."
            ) from error
        except OperationalError as error:
            if not _is_locked(error):
                raise
            if time.monotonic() + pause > until:
                raise Conflict(
                    "The tables could not be changed, because a transaction holds one of them: a backup, or somebody's "
                    "session in the database. Nothing is lost; give the command again when that has ended."
                ) from error
        sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)


@contextmanager
def alone(database_url: str, *, patience_seconds: float = 4 * _PATIENCE_SECONDS) -> Iterator[None]:
    """Waits until nobody else prepares the same ledger, and keeps others waiting meanwhile.

    Raises:
        Conflict: another one was at it all the time.
        InvalidSettings: the ledger is asked through a pooler that would hand the lock to somebody else.
    """
    url = make_url(database_url)
    if url.get_backend_name() == "sqlite":
        if url.database in (None, "", ":memory:"):
            yield
            return
        # The folder: a lock on the file itself would be lost, with SQLite's own, when any of its handles is closed.
        descriptor = os.open(Path(str(url.database)).absolute().parent, os.O_RDONLY)
        try:
            _wait_for(lambda: _is_folder_mine(descriptor), patience_seconds)
            yield
        finally:
            os.close(descriptor)
        return
    database = Database(database_url)
    try:
        if _is_shared(database):
            raise InvalidSettings(
                "The tables cannot be prepared through a pooler that shares connections by the transaction: give this "
                "command the address of PostgreSQL itself in VOICESKETCH_DATABASE_URL."
            )
        # Not within a transaction, and asked for again and again: an index that is built beside the traffic waits
        # for every transaction that is open, and one that waits for the lock is.
        with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            ask = text("SELECT pg_try_advisory_lock(:number)").bindparams(number=_LOCK_NUMBER)
            _wait_for(lambda: bool(connection.scalar(ask)), patience_seconds)
            try:
                yield
            finally:
                connection.invalidate()  # the lock goes with the connection
    finally:
        database.dispose()


def _is_shared(database: Database) -> bool:
    """Whether two connections of ours are one of the server's, taken in turns."""
    number = text("SELECT pg_backend_pid()")
    with (
        database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as one,
        database.engine.connect() as other,
    ):
        before = one.scalar(number)
        # In a transaction from here on, and so alone with what it got: what the first one had, if it was free again.
        return bool(other.scalar(number) == before or one.scalar(number) != before)


def _wait_for(is_mine: Callable[[], bool], patience_seconds: float) -> None:
    until = time.monotonic() + patience_seconds
    while not is_mine():
        if time.monotonic() > until:
            raise Conflict(
                "Another process has been preparing this ledger for a long time; look at what it does."
            )
        time.sleep(_LOOK_AGAIN_SECONDS)


def _is_folder_mine(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_locked(error: OperationalError) -> bool:
    if isinstance(error.orig, psycopg.errors.LockNotAvailable | psycopg.errors.DeadlockDetected):
        return True
    return "database is locked" in str(error.orig) or "database table is locked" in str(error.orig)
