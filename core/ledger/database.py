"""The database: one way to open it, one way to read, one way to write, and its own clock.

A write on SQLite begins with `BEGIN IMMEDIATE`. The default, deferred `BEGIN` lets two writers read first and then
refuses one of them at once however long the busy timeout is; taking the write lock first makes them queue.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pysqlite3.dbapi2 as pysqlite3
from sqlalchemy import URL, Connection, DateTime, Dialect, Engine, create_engine, event, make_url
from sqlalchemy.orm import Session
from sqlalchemy.types import TypeDecorator

from core.errors import InvalidSettings

# Older libraries can corrupt a WAL database when a checkpoint and a writer meet ("WAL-reset" race).
SAFE_SQLITE = (3, 51, 3)
BUSY_TIMEOUT_SECONDS = 30
# A server answers requests: who writes is told to try again while somebody still waits for it, and who reads finds a
# connection free however many wait to write.
REQUEST_TIMEOUT_SECONDS = 10
_READERS_OF_REQUESTS = 64
# A process that stands still, or whose machine is cut off, keeps its locks on PostgreSQL for no longer than this.
_IDLE_IN_TRANSACTION_SECONDS = 120
# A host whose cable is pulled says nothing. After this long without a word its connection to PostgreSQL counts as lost,
# where the kernel's own patience is two hours: a worker would wait as long for an answer that was lost on the way.
GONE_SECONDS = 30
_ASKS_AFTER_US = {
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "tcp_user_timeout": GONE_SECONDS * 1000,
}
_HURRY_MILLISECONDS = 200
_WRITE_OVER_MILLISECONDS = 500  # nobody else can write meanwhile
_PAGES_KIB = 32 * 1024  # of a connection, where it has read so much
_CHECKPOINT_PAGES = 8_000  # 32 MB


class UtcDateTime(TypeDecorator[datetime]):
    """A point in time: always aware and in UTC outside the database, whatever the database keeps."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without a time zone cannot be stored")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Database:
    """An engine with a door for reading and a door for writing.

    Args:
        url: SQLAlchemy address; `sqlite:///file` and `postgresql://…` are both understood.
        for_requests: as a server with many threads needs it; see `REQUEST_TIMEOUT_SECONDS`.

    Raises:
        InvalidSettings: for another kind of database, or an SQLite library with the WAL-reset bug.
    """

    def __init__(self, url: str, *, for_requests: bool = False) -> None:
        parsed = make_url(url)
        backend = parsed.get_backend_name()
        self._patience_seconds = REQUEST_TIMEOUT_SECONDS if for_requests else BUSY_TIMEOUT_SECONDS
        writer: Engine | None = None
        if backend == "sqlite":
            if pysqlite3.sqlite_version_info < SAFE_SQLITE:
                raise InvalidSettings(
                    f"The SQLite library {pysqlite3.sqlite_version} can corrupt its file; 3.51.3 or newer is needed."
                )
            more = {"max_overflow": _READERS_OF_REQUESTS} if for_requests else {}
            self.engine = self._open_sqlite(parsed, **more)
            writer = self._open_sqlite(parsed) if for_requests else None
        elif backend == "postgresql":
            self.engine = create_engine(
                parsed.set(drivername="postgresql+psycopg"),
                pool_pre_ping=True,
                pool_timeout=self._patience_seconds,
                hide_parameters=True,
                connect_args={"connect_timeout": 5, "application_name": "voicesketch", **_ASKS_AFTER_US},
            )
            event.listen(self.engine, "connect", _prepare_postgresql)
        else:
            raise InvalidSettings(f"The ledger lives in SQLite or PostgreSQL, not in {backend}.")
        # What every session of it knows beside the ledger; see `core.people.quotas.enforce`.
        self.info: dict[str, object] = {}
        self._writer: Engine = (writer or self.engine).execution_options(voicesketch_write=True)

    def _open_sqlite(self, url: URL, **more: int) -> Engine:
        engine = create_engine(
            url.set(drivername="sqlite"),
            module=pysqlite3,
            pool_timeout=self._patience_seconds,
            hide_parameters=True,  # errors reach logs; names, passwords' hashes and tokens' stay out of them
            connect_args={"timeout": self._patience_seconds, "check_same_thread": False},
            **more,
        )
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A session that is rolled back at its end."""
        with Session(self.engine, expire_on_commit=False, info=self.info) as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A session in one write transaction: committed at the end, rolled back on any exception."""
        with Session(self._writer, expire_on_commit=False, info=self.info) as session, session.begin():
            yield session

    @contextmanager
    def write_soon(self) -> Iterator[Session]:
        """The same for what may as well be left out: on SQLite it fails where others are at it for long."""
        hurried = self.engine.execution_options(voicesketch_write=True, voicesketch_hurry=True)
        with Session(hurried, expire_on_commit=False, info=self.info) as session, session.begin():
            yield session

    def write_over(self) -> None:
        """Lets no copy of what was deleted lie beside the database file: SQLite keeps old pages in its log for a while.

        Whoever reads or writes at this moment is waited for a little; what is left then goes with a later call.
        """
        if self.engine.dialect.name != "sqlite":
            return
        with self.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql(f"PRAGMA busy_timeout={_WRITE_OVER_MILLISECONDS}")
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").all()
            connection.exec_driver_sql(f"PRAGMA busy_timeout={self._patience_seconds * 1000}")

    def can_be_written(self, within_seconds: float) -> bool:
        """Whether SQLite's one lock for writing is to be had that soon; PostgreSQL has no such thing."""
        if self.engine.dialect.name != "sqlite":
            return True
        connection = self.engine.raw_connection()
        try:
            connection.execute(f"PRAGMA busy_timeout={round(within_seconds * 1000)}")
            try:
                connection.execute("BEGIN IMMEDIATE")
            except pysqlite3.OperationalError as error:
                if "locked" not in str(error):
                    raise
                return False
            connection.execute("ROLLBACK")
        finally:
            connection.execute(f"PRAGMA busy_timeout={self._patience_seconds * 1000}")
            connection.close()
        return True

    def dispose(self) -> None:
        self.engine.dispose()
        self._writer.dispose()


def now(session: Session) -> datetime:
    """The database's own clock, so that leases do not depend on the clocks of workers."""
    connection = session.connection()
    if connection.dialect.name == "sqlite":
        stamp = connection.exec_driver_sql("SELECT strftime('%Y-%m-%dT%H:%M:%f', 'now')").scalar()
        return datetime.fromisoformat(str(stamp)).replace(tzinfo=UTC)
    moment = connection.exec_driver_sql("SELECT clock_timestamp()").scalar()
    assert isinstance(moment, datetime)
    return moment.astimezone(UTC)


def is_pooled(session: Session) -> bool:
    """Whether a pooler stands between this process and PostgreSQL."""
    connection = session.connection()
    return connection.dialect.name == "postgresql" and _goes_through_pooler(
        connection.connection.driver_connection
    )


def _goes_through_pooler(connection: Any) -> bool:
    # The number that it is told when it connects is then not that of the server's process, but one of the pooler's own.
    with connection.cursor() as cursor:
        return bool(cursor.execute("SELECT pg_backend_pid()").fetchone()[0] != connection.info.backend_pid)


def _prepare_sqlite(connection: Any, _record: object) -> None:
    # The driver would open transactions of its own; `_begin_sqlite` does it instead.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")  # a ledger that forgets a commit after a power cut is none
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.execute("PRAGMA mmap_size=0")
    # Indexes of a large ledger are written to all over: a page that is still at hand need not be read again, and one
    # that changed twice between two checkpoints is written back once.
    cursor.execute(f"PRAGMA cache_size=-{_PAGES_KIB}")
    cursor.execute(f"PRAGMA wal_autocheckpoint={_CHECKPOINT_PAGES}")
    # What is deleted is written over, and can no longer be read from the file.
    cursor.execute("PRAGMA secure_delete=ON")
    cursor.close()


def _prepare_postgresql(connection: Any, _record: object) -> None:
    with connection.cursor() as cursor:
        # A pooler hands connections of the server from one client to the next: what is set in one is somebody else's
        # then, and what was prepared in one unknown in another.
        if _goes_through_pooler(connection):
            connection.rollback()
            connection.prepare_threshold = None
            return
        cursor.execute(f"SET idle_in_transaction_session_timeout = '{_IDLE_IN_TRANSACTION_SECONDS}s'")
        # And the server's end of the same: what a host that was cut off has locked is free after that time.
        cursor.execute(
            f"SET tcp_user_timeout = '{GONE_SECONDS}s'; SET tcp_keepalives_idle = 10; SET tcp_keepalives_interval = 5"
        )
    connection.commit()


def _begin_sqlite(connection: Connection) -> None:
    options = connection.get_execution_options()
    if not options.get("voicesketch_hurry", False):
        connection.exec_driver_sql("BEGIN IMMEDIATE" if options.get("voicesketch_write", False) else "BEGIN")
        return
    usual = connection.exec_driver_sql("PRAGMA busy_timeout").scalar()
    connection.exec_driver_sql(f"PRAGMA busy_timeout={_HURRY_MILLISECONDS}")
    try:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    finally:
        connection.exec_driver_sql(f"PRAGMA busy_timeout={usual}")
