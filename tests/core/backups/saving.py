"""Saving a place to a file, and bringing it back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from core.backups.backup import BackupMade, back_up
from core.backups.contents import Contents
from core.backups.restore import Backup, restore, verify
from core.config import Settings
from core.progress import Progress, Silent
from tests.dashboard.conftest import Place, make_place
from tests.ledgers import make_ledger


def opened(settings: Settings) -> Iterator[Place]:
    make_ledger(settings.database_url)
    place = make_place(settings)
    yield place
    place.database.dispose()


def save(place: Place, file: Path, *, with_secrets: bool = False) -> BackupMade:
    with file.open("wb") as stream:
        return back_up(
            place.settings, place.database, place.store, stream, Silent(), with_secrets=with_secrets
        )


def bring_back(settings: Settings, file: Path, progress: Progress | None = None) -> Backup:
    with Contents() as contents:
        backup = verify(file, contents, Silent())
        restore(settings, file, backup, contents, progress or Silent())
        return backup
