"""A migrated ledger on each database that we support, and a bucket."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from core.config import Settings
from core.ledger.database import Database
from core.store import Store
from tests.core.models.registry_place import Registry
from tests.factories import Ledger
from tests.ledgers import make_ledger


@pytest.fixture
def ledger(database_url: str) -> Iterator[Ledger]:
    make_ledger(database_url)
    database = Database(database_url)
    yield Ledger(database)
    database.dispose()


@pytest.fixture
def store(settings: Settings) -> Store:
    store = Store(settings)
    store.ensure_bucket()
    return store


@pytest.fixture
def registry(ledger: Ledger, store: Store, tmp_path: Path) -> Registry:
    return Registry(ledger, store, tmp_path)
