"""Jobs of hostile files, through ledger, store and runner: every item ends with what it deserves."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from sqlalchemy import select

from core.config import BUNDLED_WEIGHTS, Settings
from core.ledger.tables import Attempt, Item, Job
from core.states import AttemptState, JobState
from tests.hostile import fragile
from tests.hostile.corpus import hostile_files
from tests.hostile.seeds import recordings
from tests.hostile.test_hostile_files import CODES
from tests.worker.place import Place
from worker.decoding import process

pytestmark = pytest.mark.skipif(not BUNDLED_WEIGHTS.is_dir(), reason="the default model is not in weights/")


@pytest.fixture
def place(sqlite_settings: Settings, tmp_path: Path) -> Place:
    return Place(sqlite_settings.model_copy(update={"cache_folder": tmp_path / "cache"}))


def ends(place: Place, job: str) -> dict[str, str]:
    """Of each item its code, or its state."""
    with place.database.read() as session:
        items = session.scalars(select(Item).where(Item.job_id == job))
        return {item.name: item.error_code or item.state.value for item in items}


def test_recordings_that_crash_their_decoder_each_time_cost_their_neighbours_nothing(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "PROGRAM", fragile.PROGRAM)
    good = dict(list(recordings().items())[:12])
    bad = {"crash.wav": fragile.CRASH, "killed.wav": fragile.BE_KILLED, "greedy.wav": fragile.EAT}
    job = place.submit({**bad, **good})
    place.work()
    assert ends(place, job) == {
        **dict.fromkeys(good, "done"),
        "crash.wav": "decoder_crashed",
        "killed.wav": "decoder_crashed",
        "greedy.wav": "decoding_needs_memory",
    }
    with place.database.read() as session:
        assert len(session.scalars(select(Attempt)).all()) == 1  # the worker lived through all of them
    place.database.dispose()


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_a_job_of_thousands_of_damaged_files_ends_with_a_code_or_a_face_for_each(place: Place) -> None:
    files = {file.name: file.content for file in hostile_files(2_000)}
    job = place.submit(files)
    place.work()
    found = ends(place, job)
    print(Counter(found.values()))  # noqa: T201
    assert found.keys() == files.keys()
    assert set(found.values()) <= (CODES - {"ok"}) | {"done", "cached"}
    with place.database.read() as session:
        row = session.get(Job, job)
        assert row is not None and row.state is JobState.COMPLETED_WITH_ERRORS
        assert set(session.scalars(select(Attempt.state))) == {AttemptState.FINISHED}
    place.database.dispose()
