"""Copies of models on the disks of workers: what was deleted goes there, too, with nobody telling each worker."""

from __future__ import annotations

import shutil
import time
from contextlib import suppress
from pathlib import Path

from sqlalchemy import select

from core.ledger.database import Database
from core.ledger.tables import ModelVersion

_GOING = ".going-"
_FETCHING = ".fetching-"  # what `core.models.files.made_whole` begins
_ABANDONED_SECONDS = 86_400.0
_SHA256_LETTERS = 64


def forget_deleted_models(database: Database, cache: Path) -> int:
    """Removes models from a worker's cache of which the ledger says that every version of them was deleted.

    Models that the ledger does not know may be another place's, and stay. What was half fetched goes after a day.

    Args:
        cache: the folder with a folder for each model, by its SHA-256.

    Returns:
        how many models went.
    """
    if not cache.is_dir():
        return 0
    held = [path.name for path in cache.iterdir() if len(path.name) == _SHA256_LETTERS and path.is_dir()]
    with database.read() as session:
        rows = session.execute(
            select(ModelVersion.sha256, ModelVersion.deleted_at).where(ModelVersion.sha256.in_(held))
        ).all()
    deleted = {row.sha256 for row in rows} - {row.sha256 for row in rows if row.deleted_at is None}
    for sha256 in deleted:
        # At once: another worker of this machine must not find half a model.
        with suppress(OSError):  # another worker was first
            (cache / sha256).rename(cache / f"{_GOING}{sha256}")
    for path in [*cache.glob(f"{_GOING}*"), *cache.glob(f"{_FETCHING}*")]:
        with suppress(FileNotFoundError):
            old = time.time() - path.stat().st_mtime > _ABANDONED_SECONDS
            if old or path.name.startswith(_GOING):
                shutil.rmtree(path, ignore_errors=True)
    return len(deleted)
