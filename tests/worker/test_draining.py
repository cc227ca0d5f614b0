"""A real worker that is drained in the middle of its work: it finishes what it holds, and nothing is given back."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

import worker.drawing
import worker.runner
from core.claims.draining import drain_worker, undrain_worker
from core.claims.worker_queries import get_worker
from core.config import BUNDLED_WEIGHTS, Settings
from core.ledger.tables import Attempt, Job, Outbox
from core.states import AttemptState, JobState
from tests.worker.place import Place
from tests.worker.test_pulse import until
from tests.worker.test_runner import voices

pytestmark = pytest.mark.skipif(not BUNDLED_WEIGHTS.is_dir(), reason="the default model is not in weights/")


@pytest.fixture
def place(sqlite_settings: Settings, tmp_path: Path) -> Iterator[Place]:
    changed = {
        "cache_folder": tmp_path / "cache",
        "device": "cpu",
        "chunk_items": 2,
        "heartbeat_seconds": 0.2,
    }
    place = Place(sqlite_settings.model_copy(update=changed))
    yield place
    place.database.dispose()


def test_a_drained_worker_finishes_its_chunks_claims_no_more_and_goes_on_when_it_may(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    go, hear = threading.Event(), worker.drawing.hear

    def slow_hear(*given: Any) -> Any:
        assert go.wait(60)
        return hear(*given)

    monkeypatch.setattr(worker.drawing, "hear", slow_hear)
    job_id = place.submit(dict(list(voices().items())[:6]))
    runner = worker.runner.Runner(place.settings)
    operator = place.ledger.user("olga").id
    at_work = threading.Thread(target=runner.run_until_idle)
    at_work.start()

    def attempts() -> list[AttemptState]:
        with place.database.read() as session:
            return list(session.scalars(select(Attempt.state).order_by(Attempt.token)))

    try:
        assert until(lambda: len(attempts()) == worker.runner.OPEN_CHUNKS, 30)
        with place.database.write() as session:
            drain_worker(session, runner.worker_id, actor=operator)
        with place.database.read() as session:
            row = get_worker(session, runner.worker_id)
            assert (row.state, sum(chunk.items for chunk in row.chunks)) == ("draining", 4)
        assert until(lambda: runner._pulse.draining, 30)
    finally:
        go.set()
        at_work.join(timeout=60)
    assert not at_work.is_alive()
    assert attempts() == [AttemptState.FINISHED] * 2
    with place.database.read() as session:
        job = session.get_one(Job, job_id)
        assert (job.done, job.pending, job.leased, job.state) == (4, 2, 0, JobState.RUNNING)
        assert get_worker(session, runner.worker_id).state == "drained"
        bells = session.scalar(select(func.count()).select_from(Outbox)) or 0
    runner.run_until_idle()  # a doorbell that was meant for another
    assert len(attempts()) == 2

    with place.database.write() as session:
        undrain_worker(session, runner.worker_id, actor=operator)
    with place.database.read() as session:
        assert session.scalar(select(func.count()).select_from(Outbox)) == bells + 1
    assert until(lambda: not runner._pulse.draining, 30)
    runner.run_until_idle()
    runner.close()
    with place.database.read() as session:
        job = session.get_one(Job, job_id)
        assert (job.done, job.state) == (6, JobState.COMPLETED)
    assert attempts() == [AttemptState.FINISHED] * 3
