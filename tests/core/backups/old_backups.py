"""Backups as earlier versions made them: their tables by their migrations, with a row in each, in today's file format.

The tables are read back from the database, so that nothing here knows what today's code declares.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    DateTime,
    Float,
    Integer,
    MetaData,
    Numeric,
    Table,
    event,
    insert,
    select,
)

from core.backups.format import CONTENTS, FORMAT, TABLES, BackupWriter
from core.backups.rows import describe, read_rows
from core.ledger.database import Database, UtcDateTime
from core.ledger.migrating import migrate
from core.objects import face_key, recording_key
from tests.conftest import sqlite_url

WHEN = datetime(2025, 3, 1, 12, 30, 15, 250_000, tzinfo=UTC)
SOUND, FACE = b"RIFF of long ago", b"\x89PNG of long ago"
SOUND_SHA256, FACE_SHA256 = (hashlib.sha256(content).hexdigest() for content in (SOUND, FACE))
JOB, ITEM = "job_of_long_ago", 1
_OBJECTS = {recording_key(SOUND_SHA256): SOUND, face_key(JOB, 1, ITEM): FACE}
# What has a meaning; everything else that must not be empty gets something of its type.
_VALUES: dict[str, dict[str, Any]] = {
    "users": {"id": "user_ada", "name": "ada", "role": "submitter"},
    "recordings": {
        "sha256": SOUND_SHA256,
        "object_key": recording_key(SOUND_SHA256),
        "size_bytes": len(SOUND),
    },
    "artifacts": {
        "id": "artifact_1",
        "kind": "face",
        "object_key": face_key(JOB, 1, ITEM),
        "sha256": FACE_SHA256,
    }
    | {"size_bytes": len(FACE), "media_type": "image/png"},
    "model_versions": {"id": "model_1", "name": "default", "version": 1, "files": []},
    "jobs": {
        "id": JOB,
        "kind": "infer",
        "state": "completed",
        "total": 1,
        "done": 1,
        "queue": "gpu",
        "token": 1,
    }
    | {"spec": {"kind": "infer", "model": "default"}, "finished_at": WHEN, "name": "Stimmen von früher"},
    "attempts": {"id": "attempt_1", "state": "finished", "token": 1, "ended_at": WHEN},
    "items": {
        "id": ITEM,
        "state": "done",
        "key": "a line",
        "name": "früher.wav",
        "recording_sha256": SOUND_SHA256,
    },
    "dataset_versions": {"files": [], "version": 1},
    "alias_moves": {"kind": "promote"},
    "schedules": {"catch_up": "one", "overlap": "skip", "time_zone": "UTC"},
    "schedule_runs": {"state": "promoted", "why": "cron"},
    "uploads": {"finished_at": WHEN},
}


def make_old_backup(file: Path, folder: Path, revision: str) -> dict[str, list[tuple[Any, ...]]]:
    """Writes a backup of a place whose tables are of that revision; answers the rows of each table."""
    url = sqlite_url(folder)
    migrate(url, revision)
    database = Database(url)
    tables = _reflected(database)
    with database.write() as session:
        entered: dict[str, dict[str, Any]] = {}
        for table in tables:
            entered[table.name] = _row(table, entered)
            session.execute(insert(table), entered[table.name])
    rows: dict[str, list[tuple[Any, ...]]] = {}
    with file.open("wb") as stream, database.engine.connect() as connection:
        writer = BackupWriter(stream)
        head = {
            "voicesketch_backup": FORMAT,
            "made_at": WHEN.isoformat(),
            "revision": revision,
            "settings": {},
        }
        writer.head({**head, "database": "sqlite", "with_secrets": True})
        for key, content in _OBJECTS.items():
            writer.object(key, len(content), "application/octet-stream", [content])
        for table in tables:
            for number, some in enumerate(read_rows(connection, table, with_secrets=True)):
                writer.lines(
                    f"{TABLES}{table.name}/",
                    number,
                    [{"table": table.name, "columns": describe(table)}, *some],
                )
            rows[table.name] = [tuple(row) for row in connection.execute(select(table))]
        known = sorted(
            (key, len(content), hashlib.sha256(content).hexdigest()) for key, content in _OBJECTS.items()
        )
        writer.lines(CONTENTS, 0, known)
        size = sum(len(content) for content in _OBJECTS.values())
        counts = {name: len(some) for name, some in rows.items()}
        writer.end({"rows": counts, "objects": len(_OBJECTS), "object_bytes": size, "lost": []})
    database.dispose()
    return rows


def _reflected(database: Database) -> list[Table]:
    metadata = MetaData()

    def with_time_zone(_inspector: object, _table: object, column: dict[str, Any]) -> None:
        if isinstance(column["type"], DateTime):
            column["type"] = UtcDateTime()

    event.listen(Table, "column_reflect", with_time_zone)
    try:
        metadata.reflect(database.engine)
    finally:
        event.remove(Table, "column_reflect", with_time_zone)
    return [table for table in metadata.sorted_tables if table.name != "alembic_version"]


def _row(table: Table, entered: dict[str, dict[str, Any]]) -> dict[str, Any]:
    row = dict(_VALUES.get(table.name, {}))
    for column in table.columns:
        if column.name in row or column.nullable:
            continue
        for key in column.foreign_keys:
            of = key.column
            if of.table.name in entered:
                row[column.name] = entered[of.table.name][of.name]
        row.setdefault(column.name, _anything(column))
    return row


def _anything(column: Column[Any]) -> Any:
    if isinstance(column.type, UtcDateTime):
        return WHEN
    if isinstance(column.type, JSON):
        return {}
    if isinstance(column.type, Boolean):
        return True
    if isinstance(column.type, Integer | Numeric | Float):
        return 1
    return column.name[: getattr(column.type, "length", None)]
