"""How much is stored of each kind, by what the ledger says.

Sums over a million rows take a second or so; the answer is kept for ten minutes and says when it was made.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from core.database import Database, now
from core.tables import Artifact, DatasetShard, DatasetVersion, ModelVersion, Recording
from core.training_tables import JobFile
from core.upload_tables import Upload

KEPT_SECONDS = 600.0
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


_known: dict[str, tuple[float, StorageUse]] = {}
_lock = threading.Lock()


def storage_use(database: Database, *, fresh: bool = False) -> StorageUse:
    """What is stored.

    Args:
        fresh: sum up now, whatever is still known.
    """
    place = str(database.engine.url)
    with _lock:  # several people who look at once need one sum
        known = _known.get(place)
        if known is None or fresh or time.monotonic() - known[0] > KEPT_SECONDS:
            with database.read() as session:
                known = _known[place] = (time.monotonic(), _sum_up(session))
        return known[1]


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
            _of(session, "recordings", Recording.size_bytes),
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
