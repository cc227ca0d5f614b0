"""Bringing a backup back, into a place where there is nothing yet; the other kind of database will do as well.

The file is read twice: once to see that it is whole, byte by byte, and once to take it in. Objects go first and the
ledger last, in one transaction: a restore that was stopped has left no row, and is simply given again.
"""

from __future__ import annotations

import hashlib
import json
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import inspect, select

from core.backups.backup import FETCHED_AT_ONCE, FETCHED_WHOLE_BYTES, settings_to_keep
from core.backups.contents import Contents, Known
from core.backups.format import (
    CONTENTS,
    END,
    FORMAT,
    HEAD,
    TABLES,
    Member,
    read_json,
    read_members,
    unpack_lines,
)
from core.backups.rows import count_on, insert_rows, tables
from core.bootstrap import MIGRATIONS, migrate
from core.claims.leases import release
from core.claims.workers import end_worker
from core.config import PREFIX, Settings
from core.errors import Conflict, InvalidRequest, NotFound, StorageUnavailable
from core.ledger.database import Database
from core.ledger.tables import Attempt, Worker
from core.people import audit
from core.progress import Progress
from core.states import AttemptState
from core.store import Store

# In the store while a restore is at work, so that one that was stopped can be given again.
_MARK = "restoring.json"


@dataclass(frozen=True)
class Backup:
    """What a file holds that was found whole."""

    head: dict[str, Any]
    end: dict[str, Any]

    @property
    def rows(self) -> int:
        return sum(self.end["rows"].values())


def verify(path: Path, contents: Contents, progress: Progress) -> Backup:
    """Reads a backup from one end to the other and holds each part against its checksum.

    Raises:
        InvalidRequest: it is none, it broke off, it is damaged, or a newer version made it.
    """
    head: dict[str, Any] | None = None
    end: dict[str, Any] | None = None
    counts: dict[str, int] = {}
    digest = hashlib.sha256()
    with _opened(path) as file:
        size = path.stat().st_size >> 20
        for member in read_members(file):
            if head is None:
                head = _read_head(member)
            elif (key := member.object_key) is not None:
                contents.hold(Known(key, member.size, _sha256(member)))
            elif member.is_lines:
                packed = member.file.read()
                digest.update(packed)
                _check_lines(member.name, unpack_lines(packed, member.name), contents, counts)
            elif member.name == END:
                end = read_json(member)
            progress.step("checking MiB", file.tell() >> 20, size)
    if head is None:
        raise InvalidRequest(f"{path.name} is no backup of voicesketch.")
    if end is None:
        raise InvalidRequest(f"{path.name} broke off: its end is missing. Make it again.")
    held = contents.count_both()
    if (
        end["sha256"] != digest.hexdigest()
        or end["rows"] != counts
        or held != (end["objects"], end["object_bytes"])
        or contents.count_missing()
    ):
        raise InvalidRequest(
            f"{path.name} is damaged: what is in it is not what was written. Take another backup."
        )
    return Backup(head, end)


def restore(settings: Settings, path: Path, backup: Backup, contents: Contents, progress: Progress) -> None:
    """Makes an empty place what another one was when it was backed up.

    Work that was going on there is given back, so that workers of this place take it up.

    Args:
        backup, contents: what `verify` found in the file.

    Raises:
        Conflict: the place is not empty.
        StorageUnavailable: try again later; giving the command again goes on.
    """
    store, database = Store(settings), Database(settings.database_url)
    try:
        store.ensure_bucket()
        _require_empty(database, store, backup)
        migrate(settings.database_url, backup.head["revision"])
        with _opened(path) as file:
            members = read_members(file)
            first_table = _put_objects(store, members, contents, backup, progress)
            _check_store(store, backup)
            _enter_rows(database, first_table, members, backup, progress)
        migrate(settings.database_url)
        _settle(database, path, backup)
        store.delete(_MARK)
    finally:
        database.dispose()


def differing_settings(settings: Settings, backup: Backup) -> dict[str, str]:
    """What was decided otherwise where the backup was made, as variables."""
    here = settings_to_keep(settings)
    return {
        f"{PREFIX}{name.upper()}": str(value)
        for name, value in backup.head.get("settings", {}).items()
        if name in Settings.model_fields and here.get(name) != value
    }


def _read_head(member: Member) -> dict[str, Any]:
    if member.name != HEAD:
        raise InvalidRequest("This is no backup of voicesketch.")
    head: dict[str, Any] = read_json(member)
    known = True
    try:
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        ScriptDirectory.from_config(config).get_revision(head["revision"])
    except (CommandError, KeyError):
        known = False
    if not known or head.get("voicesketch_backup") != FORMAT:
        raise InvalidRequest("A newer version of voicesketch made this backup; restore it with that one.")
    return head


def _check_lines(name: str, lines: list[Any], contents: Contents, counts: dict[str, int]) -> None:
    if not name.startswith(CONTENTS):
        counts[name.split("/")[1]] = counts.get(name.split("/")[1], 0) + len(lines) - 1
        return
    for key, size, sha256 in lines:
        if not contents.is_held(Known(key, size, sha256)):
            raise InvalidRequest(
                f"This backup is damaged: {key} is not what was written. Take another backup."
            )
    contents.name_more(line[0] for line in lines)


def _require_empty(database: Database, store: Store, backup: Backup) -> None:
    with database.engine.connect() as connection:
        there = set(inspect(connection).get_table_names())
        for one in tables():
            if one.name in there and connection.execute(select(1).select_from(one).limit(1)).first():
                raise Conflict(
                    f"This place is not empty: its table {one.name} has rows. "
                    "Restore into a new data folder, or into a new database and a new bucket."
                )
    try:
        going_on = json.loads(store.get(_MARK)) == backup.end["sha256"]
    except NotFound:
        going_on = False
    if not going_on:
        if store.page("", limit=1):
            raise Conflict(
                f"This place is not empty: there are objects in its bucket {store.bucket!r}. "
                "Restore into a new data folder, or into a new database and a new bucket."
            )
        store.put(_MARK, json.dumps(backup.end["sha256"]).encode(), "application/json")


def _put_objects(
    store: Store, members: Iterator[Member], contents: Contents, backup: Backup, progress: Progress
) -> Member | None:
    """Uploads what the tables name; answers the first member behind the objects."""
    done, behind = 0, None
    waiting: deque[Future[Any]] = deque()
    with ThreadPoolExecutor(FETCHED_AT_ONCE, "storing") as pool:
        for member in members:
            key = member.object_key
            if key is None:
                if member.name == HEAD:
                    continue
                behind = member
                break
            if not contents.is_named(key):
                continue  # it was deleted while the backup was made
            if member.size <= FETCHED_WHOLE_BYTES:
                waiting.append(pool.submit(store.put, key, member.file.read(), member.media_type))
            else:
                store.put_file(key, member.file, member.media_type)
            if len(waiting) >= FETCHED_AT_ONCE:
                waiting.popleft().result()
            done += 1
            progress.step("restoring objects", done, backup.end["objects"])
        for future in waiting:
            future.result()
    return behind


def _check_store(store: Store, backup: Backup) -> None:
    count = size = 0
    after = ""
    while some := store.page("", after=after):
        count += sum(key != _MARK for key, _ in some)
        size += sum(bytes_ for key, bytes_ in some if key != _MARK)
        after = some[-1][0]
    if (count, size) != (backup.end["objects"], backup.end["object_bytes"]):
        raise StorageUnavailable(
            f"The store has {count:,} objects with {size:,} bytes, and should have {backup.end['objects']:,} with "
            f"{backup.end['object_bytes']:,}. Give the command again."
        )


def _enter_rows(
    database: Database, first: Member | None, members: Iterator[Member], backup: Backup, progress: Progress
) -> None:
    done = 0
    with database.write() as session:
        connection = session.connection()
        while first is not None:
            if first.name.startswith(TABLES):
                head, *rows = unpack_lines(first.file.read(), first.name)
                insert_rows(connection, head["table"], [(name, kind) for name, kind in head["columns"]], rows)
                done += len(rows)
                progress.step("restoring rows", done, backup.rows)
            first = next(members, None)
        count_on(connection)


def _settle(database: Database, path: Path, backup: Backup) -> None:
    """Nobody of that place works here: what they held is given back, and they are gone."""
    with database.read() as session:
        active = session.scalars(select(Attempt.id).where(Attempt.state == AttemptState.ACTIVE)).all()
        workers = session.scalars(select(Worker.id).where(Worker.ended_at.is_(None))).all()
    for attempt_id in active:
        with database.write() as session:
            release(session, attempt_id, reason="restored from a backup")
    with database.write() as session:
        for worker_id in workers:
            end_worker(session, worker_id)
        details = {"made_at": backup.head["made_at"], "rows": backup.rows, "objects": backup.end["objects"]}
        audit.record(
            session, actor="shell", action="backup.restore", subject=path.name[:160], details=details
        )


def _sha256(member: Member) -> str:
    digest = hashlib.sha256()
    for piece in member.pieces():
        digest.update(piece)
    return digest.hexdigest()


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    try:
        with path.open("rb") as file:
            yield file
    except FileNotFoundError as error:
        raise InvalidRequest(f"There is no file {path}.") from error
    except IsADirectoryError as error:
        raise InvalidRequest(f"{path} is a folder; name the file of a backup.") from error
    except EOFError as error:
        raise InvalidRequest(f"{path.name} broke off: {error}. Make it again.") from error
