"""What a migration may do to tables that are in use, seen in the SQL that it sends and in the files it leaves.

Its author's intentions are not looked at: it is run, and everything that reaches the database is judged.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, event, inspect, text

from core.ledger.database import Database
from core.ledger.migrating import migrate
from tests.core.migrations.next_versions import scripts_of

_TABLE = r'(?:ONLY )?"?(\w+)"?'
# On PostgreSQL, with what is wrong about it; the table of before is the first group.
_RULES = (
    (rf"CREATE (?:UNIQUE )?INDEX (?!CONCURRENTLY).*? ON {_TABLE}", "builds an index while nobody can write"),
    (rf"ALTER TABLE {_TABLE} ADD COLUMN (?!.* DEFAULT ).* NOT NULL", "old processes enter rows without it"),
    (
        rf"ALTER TABLE {_TABLE} ADD COLUMN .* (?:GENERATED|SERIAL|BIGSERIAL|random\(|clock_timestamp\(|gen_)",
        "writes every row while nobody can do anything",
    ),
    (
        rf"ALTER TABLE {_TABLE} ALTER COLUMN \S+ (?:SET DATA )?TYPE ",
        "writes every row while nobody can do anything",
    ),
    (rf"ALTER TABLE {_TABLE} ALTER COLUMN \S+ SET NOT NULL", "reads every row while nobody can do anything"),
    (
        rf"ALTER TABLE {_TABLE} ADD (?:CONSTRAINT \S+ )?(?:FOREIGN KEY|CHECK)(?!.* NOT VALID)",
        "reads every row while nobody can write",
    ),
    (
        rf"ALTER TABLE {_TABLE} ADD (?:CONSTRAINT \S+ )?(?:UNIQUE|PRIMARY KEY|EXCLUDE)(?!.* USING INDEX)",
        "builds an index while nobody can do anything",
    ),
    (
        rf"(?:UPDATE|DELETE FROM|INSERT INTO) {_TABLE} (?!.* SKIP LOCKED)",
        "writes many rows in one transaction",
    ),
    (
        rf"(?:LOCK TABLE|TRUNCATE(?: TABLE)?|CLUSTER|VACUUM FULL|REINDEX TABLE) {_TABLE}",
        "takes the table away",
    ),
)
# What processes of the version before may still use; a migration says otherwise in `UNUSED`.
_REMOVALS = (
    (rf"DROP TABLE (?:IF EXISTS )?{_TABLE}", "{0}"),
    (rf"ALTER TABLE {_TABLE} DROP COLUMN (\w+)", "{0}.{1}"),
    (rf"ALTER TABLE {_TABLE} RENAME (?:COLUMN )?(?:TO )?(\w+)", "{0}.{1}"),
)


@dataclass(frozen=True)
class Sent:
    """A statement, and whether it is a transaction of its own."""

    sql: str
    alone: bool

    @property
    def stays(self) -> bool:
        """Whether something is there to stay before the migration has ended."""
        return self.sql == "COMMIT" or (self.alone and not re.match("SELECT|SET", self.sql))


def faults_of(database_url: str, scripts: Path, revision: str) -> list[str]:
    """Runs one migration on a ledger of the version before, and says what is wrong with it.

    Args:
        database_url: of an empty database.
    """
    script = scripts_of(scripts).get_revision(revision)
    assert script is not None
    before = str(script.down_revision)
    migrate(database_url, before, scripts=scripts)
    database = Database(database_url)
    try:
        files = _files(database)
        with listening() as sent:
            migrate(database_url, revision, scripts=scripts)
        after = _files(database)
        unused = tuple(getattr(script.module, "UNUSED", ()))
        is_server = database.engine.dialect.name == "postgresql"
        faults = _faults(sent, set(files), unused) if is_server else []
        faults += [
            f"{name}: every row was written anew"
            for name, file in files.items()
            if name in after and after[name] != file
        ]
        if any(one.stays for one in sent):
            # A later part may fail; then the parts before it are there already.
            with database.write() as session:
                session.execute(text("UPDATE alembic_version SET version_num = :before"), {"before": before})
            try:
                migrate(database_url, revision, scripts=scripts)
            except Exception as error:  # noqa: BLE001 - whatever it is, it is the fault
                faults.append(f"cannot be given again after a break: {str(error).splitlines()[0]}")
        return faults
    finally:
        database.dispose()


@contextmanager
def listening() -> Iterator[list[Sent]]:
    """Everything that any engine of this process sends meanwhile."""
    sent: list[Sent] = []

    def hear(connection: Connection, _cursor: Any, statement: str, *_: Any) -> None:
        alone = connection.get_execution_options().get("isolation_level") == "AUTOCOMMIT"
        sent.append(Sent(" ".join(statement.split()), alone))

    event.listen(Engine, "before_cursor_execute", hear)
    try:
        yield sent
    finally:
        event.remove(Engine, "before_cursor_execute", hear)


def _faults(sent: list[Sent], tables: set[str], unused: tuple[str, ...]) -> list[str]:
    faults = []
    for one in sent:
        for pattern, wrong in _RULES:
            found = re.match(pattern, one.sql, re.IGNORECASE)
            if found and found[1] in tables:
                faults.append(f"{found[1]}: {wrong}: {one.sql[:120]}")
        for pattern, name in _REMOVALS:
            found = re.match(pattern, one.sql, re.IGNORECASE)
            if found and found[1] in tables and name.format(*found.groups()) not in unused:
                faults.append(f"{found[1]}: processes of before still use it: {one.sql[:120]}")
        if re.match(r"DROP INDEX (?!CONCURRENTLY)", one.sql, re.IGNORECASE):
            faults.append(f"waits for everybody who reads the table: {one.sql[:120]}")
    return faults


def _files(database: Database) -> dict[str, int]:
    """Where each table lies: another place after a change means that all of it was written."""
    if database.engine.dialect.name == "sqlite":
        query = "SELECT name, rootpage FROM sqlite_schema WHERE type = 'table'"
    else:
        query = "SELECT relname, relfilenode FROM pg_class WHERE relnamespace = 'public'::regnamespace"
    known = set(inspect(database.engine).get_table_names()) - {"alembic_version"}
    with database.read() as session:
        return {name: file for name, file in session.execute(text(query)) if name in known}
