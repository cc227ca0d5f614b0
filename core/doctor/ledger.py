"""The ledger: whether it can be opened, and whether it is one that this code can work with."""

from __future__ import annotations

import socket
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import func, make_url, select, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.orm import Session

from core.doctor.findings import Finding
from core.errors import InvalidSettings
from core.ledger.database import Database, is_pooled, now
from core.ledger.schema_fit import Fit, compare, known_revisions, revision_of
from core.ledger.tables import Worker
from core.watching.presence import Presence

PART = "ledger"
OLDEST_POSTGRESQL = 150000  # as the server numbers itself
MOST_SKEW_SECONDS = 5.0
# Connections that a process may hold: five at rest and ten more of a pool, or one for each thread if those are fewer.
_OF_A_DASHBOARD, _OF_A_TICKER, _OF_A_WORKER = 15, 6, 4
_KEPT_FOR_OTHERS = 5  # a backup, a preparation, an administrator
_NETWORKED = (
    "nfs",
    "cifs",
    "smb",
    "9p",
    "sshfs",
    "s3fs",
    "gluster",
    "ceph",
    "lustre",
    "beegfs",
    "afs",
    "gcsfuse",
)


def opened(url: str) -> tuple[Database | None, list[Finding]]:
    """The ledger, where it can be read; else why not."""
    try:
        address = make_url(url)
    except ArgumentError:
        says = "VOICESKETCH_DATABASE_URL is no address of a database."
        return None, [
            Finding("ledger_address", PART, says, "Write it as postgresql://user:password@host/name.")
        ]
    if address.get_backend_name() == "sqlite" and (missing := _missing_file(address)):
        return None, [missing]
    try:
        database = Database(url)
    except InvalidSettings as error:
        code = "sqlite_unsafe" if address.get_backend_name() == "sqlite" else "ledger_address"
        return None, [
            Finding(code, PART, error.message, "Install the versions of requirements.lock, or name another.")
        ]
    try:
        with database.read() as session:
            session.execute(text("SELECT 1"))
    except SQLAlchemyError as error:
        database.dispose()
        return None, [_refused(address, str(getattr(error, "orig", None) or error))]
    return database, []


def _missing_file(address: URL) -> Finding | None:
    path = Path(address.database or "")
    if not path.exists():
        do = "Check the path, or make the place ready: python -m core.bootstrap."
        return Finding("ledger_missing", PART, f"There is no file {path}.", do)
    return None


def _refused(address: URL, said: str) -> Finding:
    """Tells the usual reasons apart by what the driver says; its words never hold the password."""
    words = " ".join(said.split()).lower()
    where = f"{address.host or 'the local socket'}:{address.port or 5432}"
    if "password authentication failed" in words or "no password supplied" in words or "role " in words:
        says = f"The server at {where} refuses the user {address.username}: name or password are wrong."
        return Finding(
            "ledger_refuses", PART, says, "Correct VOICESKETCH_DATABASE_URL; a password in it is URL-encoded."
        )
    if "database " in words and "does not exist" in words:
        says = f"The server at {where} has no database {address.database}."
        do = f"Make it (createdb {address.database}), then run python -m core.bootstrap; or correct the name."
        return Finding("ledger_missing", PART, says, do)
    if "too many clients" in words or "remaining connection slots" in words:
        says = f"The server at {where} has no connection left."
        return Finding(
            "too_few_connections", PART, says, "Raise max_connections of PostgreSQL, or run fewer processes."
        )
    if address.get_backend_name() == "sqlite":
        says = f"The file {address.database} cannot be read: {said.splitlines()[0]}."
        return Finding(
            "ledger_unreadable",
            PART,
            says,
            "See that it is an SQLite file, and yours; restore a backup if not.",
        )
    says = f"Nothing at {where} lets us in: {said.strip().splitlines()[0][:200] if said.strip() else 'no answer'}."
    do = "See that PostgreSQL runs there, that this machine reaches it, and that VOICESKETCH_DATABASE_URL names it."
    return Finding("ledger_unreachable", PART, says, do)


def tables(session: Session) -> list[Finding]:
    """Whether migrations have been made, and by this version."""
    revision, known = revision_of(session), known_revisions()
    match compare(revision, known):
        case Fit.EMPTY:
            do = "Make the place ready: python -m core.bootstrap."
            return [Finding("ledger_empty", PART, "It has no tables of ours.", do)]
        case Fit.BEHIND:
            says = f"Its tables are of revision {revision}, and this code needs {known[-1]}."
            do = "Run python -m core.bootstrap with this version, after a backup."
            return [Finding("ledger_behind", PART, says, do)]
        case Fit.AHEAD:
            says = (
                f"Its tables are of revision {revision}, which this code does not know; it knows {known[-1]}."
            )
            do = "Upgrade this process too. During an upgrade this is no fault."
            return [Finding("ledger_ahead", PART, says, do, "warning")]
        case _:
            return []


def server(session: Session, others: list[Presence]) -> list[Finding]:
    """Of PostgreSQL: its version, and whether it has connections for everybody."""
    if session.get_bind().dialect.name != "postgresql":
        return []
    found = version(int(str(session.scalar(text("SHOW server_version_num")))))
    if is_pooled(session):
        return found  # the pooler shares them out, and how many clients it takes is for it to say
    most = int(str(session.scalar(text("SHOW max_connections"))))
    most -= int(str(session.scalar(text("SHOW superuser_reserved_connections"))))
    workers = int(session.scalar(select(func.count()).where(Worker.ended_at.is_(None))) or 0)
    dashboards = sum(one.part == "dashboard" for one in others)
    tickers = sum(one.part == "ticker" for one in others)
    return found + connections(most, max(1, dashboards), max(1, tickers), max(1, workers))


def version(number: int) -> list[Finding]:
    if number >= OLDEST_POSTGRESQL:
        return []
    says = (
        f"PostgreSQL {number // 10000} is too old: {OLDEST_POSTGRESQL // 10000} is the oldest that is tested."
    )
    return [Finding("postgresql_old", PART, says, "Upgrade the server.")]


def connections(most: int, dashboards: int, tickers: int, workers: int) -> list[Finding]:
    """Args:
    most: connections that the server gives to ordinary users.
    """
    needed = dashboards * _OF_A_DASHBOARD + tickers * _OF_A_TICKER + workers * _OF_A_WORKER + _KEPT_FOR_OTHERS
    if needed <= most:
        return []
    says = (
        f"PostgreSQL gives {most} connections; {dashboards} dashboards, {tickers} tickers and {workers} workers "
        f"may want {needed}."
    )
    do = f"Set max_connections to {needed + 10} or more, or put PgBouncer in front (deploy/pooler)."
    return [Finding("too_few_connections", PART, says, do, "warning")]


def clock(session: Session) -> list[Finding]:
    """Whether this machine and the ledger's agree on the time."""
    skew = (now(session) - datetime.now(UTC)).total_seconds()
    if abs(skew) <= MOST_SKEW_SECONDS:
        return []
    says = f"This machine ({socket.gethostname()}) and the ledger's differ by {abs(skew):,.0f} s."
    return [
        Finding(
            "clock_off", "clock", says, "Set both by a time server (chrony, systemd-timesyncd).", "warning"
        )
    ]


def place_of_file(url: str, mounts: str | None = None) -> list[Finding]:
    """Of SQLite: whether its file lies where its locks hold.

    Args:
        mounts: lines of /proc/self/mounts; what is mounted here, unless given.
    """
    address = make_url(url)
    if address.get_backend_name() != "sqlite" or not address.database:
        return []
    kind = file_system_of(Path(address.database).absolute(), mounts)
    if not any(name in kind for name in _NETWORKED):
        return []
    says = f"{address.database} lies on a network file system ({kind}), where SQLite's locks do not hold."
    do = "Move the data folder to a disk of this machine, or use PostgreSQL. Until then it may get corrupted."
    return [Finding("sqlite_on_network", PART, says, do)]


def file_system_of(path: Path, mounts: str | None = None) -> str:
    """The kind of file system that a path is on; empty where nothing says so."""
    try:
        lines = (mounts if mounts is not None else Path("/proc/self/mounts").read_text("utf-8")).splitlines()
    except OSError:
        return ""  # not Linux
    best, kind = -1, ""
    for line in lines:
        _, point, found, *_ = line.split(" ")
        folder = Path(point.encode().decode("unicode_escape"))
        if path.is_relative_to(folder) and len(folder.parts) >= best:
            best, kind = len(folder.parts), found
    return kind
