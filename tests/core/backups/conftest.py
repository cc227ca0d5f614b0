"""Places to back up, and empty ones to bring them back into."""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.config import Settings
from tests.conftest import settings_for, sqlite_url
from tests.core.backups.saving import opened
from tests.dashboard.conftest import Place
from tests.servers import ObjectStore


@pytest.fixture
def place(settings: Settings) -> Iterator[Place]:
    """On either kind of database."""
    yield from opened(settings)


@pytest.fixture
def sqlite_place(sqlite_settings: Settings) -> Iterator[Place]:
    """For what would be the same on either."""
    yield from opened(sqlite_settings)


@pytest.fixture
def elsewhere(
    request: pytest.FixtureRequest, broker_url: str, object_store_server: ObjectStore, tmp_path: Path
) -> Iterator[Settings]:
    """Settings of an empty place. Its database is of the other kind where the first place may be on either."""
    store = dataclasses.replace(object_store_server, bucket=f"test-{uuid.uuid4().hex[:16]}")
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    callspec = getattr(request.node, "callspec", None)
    if callspec is None or callspec.params.get("database_url") != "sqlite":
        yield settings_for(sqlite_url(folder), broker_url, store)
        return
    with request.getfixturevalue("postgres").database() as url:
        yield settings_for(url, broker_url, store)
