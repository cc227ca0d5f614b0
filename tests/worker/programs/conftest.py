"""A place for programs, made ready once for the tests of a file."""

from __future__ import annotations

import copy
import dataclasses
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from core.jobs import cancel_job
from core.ledger.tables import Job
from tests.conftest import settings_for, sqlite_url
from tests.servers import Broker, ObjectStore
from tests.worker.program_place import ProgramPlace


@pytest.fixture(scope="module")
def prepared(
    broker: Broker, object_store_server: ObjectStore, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ProgramPlace]:
    """Made ready once: no test minds the jobs of the others."""
    folder = tmp_path_factory.mktemp("programs")
    bucket = f"test-{uuid.uuid4().hex[:16]}"
    settings = settings_for(
        sqlite_url(folder), broker.url, dataclasses.replace(object_store_server, bucket=bucket)
    )
    place = ProgramPlace(settings.model_copy(update={"max_attempts": 3}), folder)
    place.add_dataset()
    yield place
    place.database.dispose()


@pytest.fixture
def place(prepared: ProgramPlace, tmp_path: Path) -> Iterator[ProgramPlace]:
    place = copy.copy(prepared)
    place.folder, place.programs = tmp_path, {}
    place.settings = prepared.settings.model_copy(update={"cache_folder": tmp_path / "cache"})
    yield place
    with place.database.write() as session:
        for job in session.scalars(select(Job).where(Job.finished_at.is_(None), Job.queue == "gpu")):
            cancel_job(session, job.id, actor="tester")
