"""The doorbell's task over a failure of what surrounds it: one process is one worker in the register."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from core.config import BUNDLED_WEIGHTS
from core.ledger.tables import Worker
from tests.worker.place import Place
from worker import tasks

pytestmark = pytest.mark.skipif(not BUNDLED_WEIGHTS.is_dir(), reason="the default model is not in weights/")


@pytest.fixture
def place(place: Place, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    monkeypatch.setattr(tasks, "load_settings", lambda: place.settings)
    yield place
    tasks._end_runner()
    tasks._earlier.clear()


def test_a_process_that_lost_the_ledger_is_in_the_register_once_when_it_is_back(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    import worker.runner

    def away(*_: object, **__: object) -> None:
        raise OperationalError("", {}, Exception("the ledger is away"))

    def present() -> set[str]:
        with place.database.read() as session:
            return set(session.scalars(select(Worker.id).where(Worker.ended_at.is_(None))))

    tasks.work()
    before = present()
    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(worker.runner.Runner, "run_until_idle", away)
        meanwhile.setattr(worker.runner, "end_worker", away)
        with pytest.raises(OperationalError):
            tasks.work()
    assert present() == before  # nobody could tell the ledger
    tasks.work()
    assert len(present()) == 1
    assert not present() & before
