"""A place that is attacked. What is tried does not depend on the database."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conftest import settings_for
from tests.dashboard.conftest import Place, make_place
from tests.ledgers import make_ledger
from tests.servers import ObjectStore


@pytest.fixture
def place(sqlite_database_url: str, object_store: ObjectStore) -> Iterator[Place]:
    settings = settings_for(sqlite_database_url, "redis://127.0.0.1:1", object_store)
    make_ledger(settings.database_url)
    made = make_place(settings)
    yield made
    made.database.dispose()
