"""How much is stored of each kind, by what the ledger says.

Sums over millions of rows take seconds, so nobody waits for them: the ticker makes them every few minutes and keeps
them in the ledger, where whoever asks finds them, with the moment that they are of.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from core.ledger.database import Database, now
from core.ledger.retention_tables import StorageSum
from core.ledger.tables import Artifact, DatasetShard, DatasetVersion, ModelVersion, Recording
from core.ledger.training_tables import JobFile
from core.ledger.upload_tables import Upload

# How often the ticker sums up, and after how long without it whoever asks does so.
SUM_SECONDS = 300.0
_KEPT = timedelta(seconds=600)
_ARTIFACTS = {"face": "faces", "thumbnail": "thumbnails", "spectrogram": "spectrograms"}


@dataclass(frozen=True)
class Use:
    kind: str
    count: int
    bytes: int


@dataclass(frozen=True)
class StorageUse:
    at: datetime
    kinds: tuple[Use, ...]

    @property
    def bytes(self) -> int:
        return sum(use.bytes for use in self.kinds)


def storage_use(database: Database, *, fresh: bool = False) -> StorageUse:
    """What is stored, as it was summed up last.

    Args:
        fresh: sum up now, however new that is.
    """
    if not fresh and (known := _kept(database)) is not None:
        return known
    return sum_up(database)


def sum_up(database: Database) -> StorageUse:
    """Sums up, and keeps the sums."""
    with database.read() as session:
        use = _sum_up(session)
    with database.write() as session:
        insert = sqlite.insert if session.get_bind().dialect.name == "sqlite" else postgresql.insert
        new = insert(StorageSum)
        changed = {name: new.excluded[name] for name in ("place", "count", "bytes", "at")}
        session.execute(
            new.on_conflict_do_update(index_elements=["kind"], set_=changed),
            [{"place": place, "at": use.at, **vars(one)} for place, one in enumerate(use.kinds)],
        )
    return use


def _kept(database: Database) -> StorageUse | None:
    with database.read() as session:
        rows = session.scalars(select(StorageSum).order_by(StorageSum.place)).all()
        if not rows or rows[0].at < now(session) - _KEPT:
            return None
    return StorageUse(rows[0].at, tuple(Use(row.kind, row.count, row.bytes) for row in rows))


def _sum_up(session: Session) -> StorageUse:
    found = {name: Use(name, 0, 0) for name in _ARTIFACTS.values()}
    sums = select(Artifact.kind, func.count(), func.sum(Artifact.size_bytes)).group_by(Artifact.kind)
    for kind, count, size in session.execute(sums):
        name = _ARTIFACTS.get(kind, kind)
        found[name] = Use(name, count, int(size or 0))
    models = session.scalars(select(ModelVersion.files).where(ModelVersion.deleted_at.is_(None))).all()
    datasets = session.scalars(select(DatasetVersion.files)).all()
    return StorageUse(
        now(session),
        (
            _of(session, "recordings", Recording.size_bytes, Recording.purged_at.is_(None)),
            *found.values(),
            _of_files("models", models),
            _of_files("datasets", datasets, _of(session, "", DatasetShard.size_bytes)),
            _of(session, "job files", JobFile.size_bytes),
            _of(
                session,
                "unfinished uploads",
                Upload.size_bytes,
                Upload.finished_at.is_(None) & Upload.abandoned_at.is_(None),
            ),
        ),
    )


def _of(session: Session, kind: str, size: Any, *where: Any) -> Use:
    count, total = session.execute(select(func.count(), func.sum(size)).where(*where)).one()
    return Use(kind, count, int(total or 0))


def _of_files(kind: str, versions: Any, more: Use | None = None) -> Use:
    """Files by their keys: several versions may share one."""
    sizes = {file["key"]: int(file["size_bytes"]) for files in versions for file in files}
    # Shards are counted where they are made, and not again in the versions that hold them.
    if more is not None:
        sizes = {key: size for key, size in sizes.items() if not key.startswith("datasets/shards/")}
    return Use(
        kind,
        len(sizes) + (more.count if more else 0),
        sum(sizes.values()) + (more.bytes if more else 0),
    )
