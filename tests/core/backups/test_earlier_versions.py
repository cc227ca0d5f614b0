"""Backups that earlier versions made come back into today's, whole; what those versions did not know is as if new."""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import MetaData, func, select

from core.backups.backup import back_up
from core.backups.contents import Contents
from core.backups.restore import restore, verify
from core.config import Settings
from core.ledger.database import Database
from core.ledger.migrating import MIGRATIONS
from core.ledger.tables import Base, Item, Job
from core.progress import Silent
from core.store import Store
from tests.conftest import settings_for
from tests.core.backups.old_backups import FACE, JOB, SOUND, WHEN, make_old_backup
from tests.core.migrations.next_versions import scripts_of
from tests.servers import ObjectStore, Postgres

# The first that could be backed up, and every one since but today's own, which test_round_trip is about.
_FIRST = "0003"


def revisions() -> list[str]:
    known = sorted(script.revision for script in scripts_of(MIGRATIONS).walk_revisions())
    return known[known.index(_FIRST) : -1]


@pytest.fixture
def new_place(
    broker_url: str, object_store_server: ObjectStore, tmp_path: Path, postgres: Postgres
) -> Iterator[Settings]:
    """Empty, and on the other kind of database than the old one was."""
    store = dataclasses.replace(object_store_server, bucket=f"test-{uuid.uuid4().hex[:16]}")
    with postgres.database() as url:
        yield settings_for(url, broker_url, store)


@pytest.mark.parametrize("revision", revisions())
def test_a_backup_of_an_earlier_version_comes_back_whole(
    new_place: Settings, tmp_path: Path, revision: str
) -> None:
    old = tmp_path / "old"
    old.mkdir()
    before = make_old_backup(tmp_path / "old.tar", old, revision)
    assert all(before.values()), "there is a table without a row"
    with Contents() as contents:
        backup = verify(tmp_path / "old.tar", contents, Silent())
        restore(new_place, tmp_path / "old.tar", backup, contents, Silent())
    database, store = Database(new_place.database_url), Store(new_place)
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []
        today = MetaData()
        today.reflect(connection)
        for name, rows in before.items():
            more = 1 if name == "audit_entries" else 0  # that it was restored
            count = connection.scalar(select(func.count()).select_from(today.tables[name]))
            assert count == len(rows) + more, name
    with database.read() as session:
        job = session.get_one(Job, JOB)
        assert (job.name, job.created_at, job.spec["model"], job.labels) == (
            "Stimmen von früher",
            WHEN,
            "default",
            {},
        )
        assert session.scalars(select(Item.name)).one() == "früher.wav"
    assert {store.get(key) for key in list(store.keys())} == {SOUND, FACE}
    with (tmp_path / "again.tar").open("wb") as stream:
        made = back_up(new_place, database, store, stream, Silent())
    assert made.objects == 2
    database.dispose()
