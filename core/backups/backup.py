"""Backing up a whole place while it works: every row of the ledger, and every object that a row names.

The objects go first, which takes long and happens beside everything else. Then the ledger is looked at once more, in
one transaction that sees one moment; what came since goes in, too; and the rows are written as of that very moment. An
object that went in between, by a rule of retention or because somebody's data were deleted, makes that look worth
nothing: it is taken anew. So whatever the rows of a backup name is in it, and nobody has to stop working.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import IO, Any

from alembic.migration import MigrationContext
from sqlalchemy import Connection, func, select

from core.backups.contents import Contents, Known
from core.backups.format import CONTENTS, FORMAT, TABLES, BackupWriter
from core.backups.rows import count_secrets, describe, named_objects, read_rows, tables
from core.config import Settings
from core.errors import Conflict, NotFound
from core.ledger.database import Database
from core.people import audit
from core.progress import Progress
from core.store import Store, Stored

# Objects of at most this size are fetched ahead, several at once; what is larger goes through by pieces.
FETCHED_WHOLE_BYTES = 8 * 2**20
FETCHED_AT_ONCE = 8
# So much may be left to fetch while one moment of the ledger is held on to.
_LITTLE = 500
_LOOKS = 5
# Objects go shortly before their rows do, in the same transaction.
_PATIENCE_SECONDS = 3.0
# Where things are, and what opens them: true of one place only.
_OF_ONE_PLACE = frozenset(
    name
    for name in Settings.model_fields
    if name.startswith(("database_", "broker_", "s3_", "secret_", "sentry_", "trace_"))
    or name.endswith(("_folder", "_secret"))
)


@dataclass
class BackupMade:
    """What went into a backup.

    Attributes:
        rows: of all tables together.
        lost: objects that rows name and the store has not had for a while; whoever restores does without them.
        secrets_left_out: addresses told by signed notes that have to be given anew after restoring.
    """

    rows: int = 0
    objects: int = 0
    bytes: int = 0
    lost: list[str] = field(default_factory=list)
    secrets_left_out: int = 0


def back_up(
    settings: Settings,
    database: Database,
    store: Store,
    file: IO[bytes],
    progress: Progress,
    *,
    with_secrets: bool = False,
) -> BackupMade:
    """Writes a backup of a place that may be at work.

    Args:
        with_secrets: also what signs notes to others.

    Raises:
        StorageUnavailable: try again later.
        Conflict: the tables were changed to another version meanwhile, or things go faster than they are copied.
    """
    writer, made = BackupWriter(file), BackupMade()
    with _moment(database) as connection:
        revision = _revision(connection)
    writer.head(
        {
            "voicesketch_backup": FORMAT,
            "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "revision": revision,
            "database": database.engine.dialect.name,
            "with_secrets": with_secrets,
            "settings": settings_to_keep(settings),
        }
    )
    with Contents() as contents:
        for _ in range(_LOOKS):
            with _moment(database) as connection:
                contents.name(named_objects(connection))
            lost = _copy_missing(contents, store, writer, progress)
            if contents.count_missing() - len(lost) <= _LITTLE:
                break
        for _ in range(_LOOKS):
            if lost:
                time.sleep(_PATIENCE_SECONDS)
            with _moment(database) as connection:
                contents.name(named_objects(connection))
                known, lost = lost, _copy_missing(contents, store, writer, progress)
                # What is missed twice in a row is not on its way out: it is lost.
                if set(lost) <= set(known):
                    if _revision(connection) != revision:
                        raise Conflict(
                            "The ledger was brought to another version meanwhile; make the backup again."
                        )
                    made.lost = lost
                    _write_ledger(connection, contents, writer, made, progress, with_secrets=with_secrets)
                    break
        else:
            raise Conflict("Objects are removed faster than they are copied; make the backup again later.")
    made.bytes = writer.bytes
    with database.write() as session:
        details = {"rows": made.rows, "objects": made.objects, "bytes": made.bytes, "secrets": with_secrets}
        audit.record(session, actor="shell", action="backup.make", subject="all", details=details)
    return made


@contextmanager
def _moment(database: Database) -> Iterator[Connection]:
    """A connection that sees the ledger as it is at its first question, however long it lasts; it holds up nobody."""
    engine = database.engine
    if engine.dialect.name == "postgresql":
        engine = engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
    with engine.connect() as connection:
        if engine.dialect.name == "postgresql":
            # Copying a large object is no standing still.
            connection.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 0")
        yield connection


def _revision(connection: Connection) -> str:
    revision = MigrationContext.configure(connection).get_current_revision()
    if revision is None:
        raise NotFound("There is no ledger to back up: nothing was ever started here.")
    return revision


def settings_to_keep(settings: Settings) -> dict[str, Any]:
    """What was decided for this place, as far as it is true of another one and no secret."""
    told = settings.model_dump(mode="json", exclude_defaults=True, exclude=set(_OF_ONE_PLACE))
    return {name: value for name, value in told.items() if name not in ("public_url", "trusted_hosts")}


def _copy_missing(contents: Contents, store: Store, writer: BackupWriter, progress: Progress) -> list[str]:
    """Copies what is named and not held yet; answers what the store does not have."""
    total, lost = contents.count_missing(), []
    for done, (key, stored) in enumerate(fetched(store, _missing(contents)), 1):
        if stored is None:
            lost.append(key)
        else:
            sha256 = writer.object(key, stored.size, stored.media_type, stored.pieces)
            contents.hold(Known(key, stored.size, sha256))
        progress.step("copying objects", done, total)
    return lost


def _missing(contents: Contents) -> Iterator[str]:
    after = ""
    while some := contents.next_missing(after):
        yield from some
        after = some[-1]


def fetched(store: Store, keys: Iterable[str]) -> Iterator[tuple[str, Stored | None]]:
    """Objects in the order of their keys, fetched ahead; None for those that are not there."""

    def fetch(key: str) -> Stored | None:
        try:
            stored = store.fetch(key)
            if stored.size <= FETCHED_WHOLE_BYTES:
                return Stored(stored.size, stored.media_type, iter([b"".join(stored.pieces)]))
        except NotFound:
            return None
        return stored

    ahead: deque[tuple[str, Future[Stored | None]]] = deque()
    with ThreadPoolExecutor(FETCHED_AT_ONCE, "fetching") as pool:
        try:
            for key in keys:
                ahead.append((key, pool.submit(fetch, key)))
                if len(ahead) >= FETCHED_AT_ONCE:
                    first, future = ahead.popleft()
                    yield first, future.result()
            while ahead:
                first, future = ahead.popleft()
                yield first, future.result()
        finally:
            pool.shutdown(cancel_futures=True)


def _write_ledger(
    connection: Connection,
    contents: Contents,
    writer: BackupWriter,
    made: BackupMade,
    progress: Progress,
    *,
    with_secrets: bool,
) -> None:
    counts: dict[str, int] = {}
    total = sum(connection.scalar(select(func.count()).select_from(one)) or 0 for one in tables())
    for one in tables():
        head = {"table": one.name, "columns": describe(one)}
        for number, rows in enumerate(read_rows(connection, one, with_secrets=with_secrets)):
            writer.lines(f"{TABLES}{one.name}/", number, [head, *rows])
            counts[one.name] = counts.get(one.name, 0) + len(rows)
            made.rows += len(rows)
            progress.step("copying rows", made.rows, max(total, made.rows))
    for number, some in enumerate(contents.both()):
        writer.lines(CONTENTS, number, ([one.key, one.size, one.sha256] for one in some))
    made.objects, size = contents.count_both()
    made.secrets_left_out = 0 if with_secrets else count_secrets(connection)
    writer.end(
        {"rows": counts, "objects": made.objects, "object_bytes": size, "lost": made.lost},
    )
