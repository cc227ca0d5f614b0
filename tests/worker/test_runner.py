"""The runner on real parts: ledger, object store, default model, recordings."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image
from sqlalchemy import select

from core.config import BUNDLED_WEIGHTS, Settings
from core.errors import StorageUnavailable
from core.jobs import cancel_job
from core.ledger.tables import Artifact, Attempt, Job, Worker
from core.queries import items_page
from core.states import ItemState, JobState
from tests.worker.place import Place

SAMPLES = Path(__file__).resolve().parents[2] / "samples"

pytestmark = pytest.mark.skipif(not BUNDLED_WEIGHTS.is_dir(), reason="the default model is not in weights/")


@pytest.fixture
def place(settings: Settings, tmp_path: Path) -> Iterator[Place]:
    place = Place(settings.model_copy(update={"cache_folder": tmp_path / "cache", "device": "cpu"}))
    yield place
    place.database.dispose()


def voices() -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(SAMPLES.iterdir()) if path.suffix == ".flac"}


def silence() -> bytes:
    file = io.BytesIO()
    soundfile.write(file, np.zeros(16000, np.float32), 16000, format="WAV")
    return file.getvalue()


def test_every_recording_becomes_a_face_with_its_checksum_and_its_origin(place: Place) -> None:
    from worker.ml.pictures import read_metadata
    from worker.runner import Runner

    job = place.submit(voices())
    runner = Runner(place.settings)
    runner.run_until_idle()
    runner.close()
    with place.database.read() as session:
        row = session.get(Job, job)
        assert row is not None and row.state is JobState.COMPLETED and row.finished_at is not None
        # The time that it took is that of a worker on processors.
        assert row.cpu_seconds is not None and row.gpu_seconds is None
        assert 0 < row.cpu_seconds <= (row.finished_at - row.created_at).total_seconds() + 1
        rows = items_page(session, job, limit=100)
        for artifact in session.scalars(select(Artifact)):
            data = place.store.get(artifact.object_key)
            assert hashlib.sha256(data).hexdigest() == artifact.sha256
            assert len(data) == artifact.size_bytes
    assert len(rows) == len(voices()) >= 6
    for item in rows:
        face = place.store.get(item.face_key or "")
        assert Image.open(io.BytesIO(face)).size in ((224, 224), (256, 256))
        said = read_metadata(face)
        assert said["recording_sha256"] == item.recording_sha256
        assert said["model_version"] == "default@1"
        assert "AI-generated" in said["Description"]
        assert item.thumbnail_key is not None and item.thumbnail_sha256 is not None
        small = place.store.get(item.thumbnail_key)
        assert hashlib.sha256(small).hexdigest() == item.thumbnail_sha256 and len(small) < 8_000
        assert item.spectrogram_key is not None and item.duration_seconds is not None


def test_a_worker_is_known_by_the_device_that_it_found(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    from worker.runner import Runner

    for wanted, known in (("auto", "cpu"), ("cuda:7", "cuda:7")):
        monkeypatch.setattr("torch.cuda.is_available", lambda: False)
        runner = Runner(place.settings.model_copy(update={"device": wanted}))
        with place.database.read() as session:
            assert session.get_one(Worker, runner.worker_id).device == known
        runner.close()


def test_a_bad_recording_fails_with_its_code_and_the_rest_is_drawn(place: Place) -> None:
    from worker.runner import Runner

    good = dict(list(voices().items())[:2])
    job = place.submit(
        {**good, "empty.wav": b"", "text.wav": b"hello there, this is text", "quiet.wav": silence()}
    )
    runner = Runner(place.settings)
    runner.run_until_idle()
    runner.close()
    with place.database.read() as session:
        found = {row.name: row.error_code or row.state.value for row in items_page(session, job)}
    assert found == {
        **dict.fromkeys(good, "done"),
        "empty.wav": "empty_file",
        "text.wav": "not_audio",
        "quiet.wav": "no_speech",
    }
    counted = runner._pulse.tally.told()
    assert counted["items"] == {"done": 2, "failed": 3}
    assert sum(counted["steps"]) == 5
    assert (counted["claims"], counted["lost"]) == (1, 0)


def test_the_same_recording_is_drawn_once_and_cached_afterwards(place: Place) -> None:
    from worker.runner import Runner

    name, data = next(iter(voices().items()))
    runner = Runner(place.settings)
    first = place.submit({name: data, "again.flac": data})
    runner.run_until_idle()
    second = place.submit({"later.flac": data})
    runner.run_until_idle()
    runner.close()
    with place.database.read() as session:
        twice, later = items_page(session, first), items_page(session, second)
    # Both are on their way at once; whichever is published first is the one that was drawn.
    assert sorted(row.state for row in twice) == [ItemState.CACHED, ItemState.DONE]
    assert [row.state for row in later] == [ItemState.CACHED]
    assert len({row.face_key for row in twice + later}) == 1
    assert (
        len(list(place.store.keys("jobs/"))) == 3
    )  # a face, small and large, and a spectrogram; the second upload is gone


def test_a_store_that_fails_for_a_while_costs_nothing_but_time(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    from worker.runner import Runner

    job = place.submit(voices())
    runner = Runner(place.settings)
    put, failures = runner._store.put, iter([True] * 3)

    def put_that_fails_at_first(*arguments: str, **more: str) -> object:
        if next(failures, False):
            raise StorageUnavailable("The store is away for a moment.")
        return put(*arguments, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(runner._store, "put", put_that_fails_at_first)
    runner.run_until_idle()
    runner.close()
    assert place.ledger.get(job).state is JobState.COMPLETED
    assert place.ledger.counters(job)["done"] == len(voices())
    assert {item.lost for item in place.ledger.items(job)} == {0}


def test_a_cancelled_job_stops_between_batches(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    from worker import drawing
    from worker.runner import Runner

    data = next(iter(voices().values()))
    many = {f"{number}.flac": data + bytes([number]) * 8 for number in range(96)}
    job = place.submit(many)
    runner = Runner(place.settings)
    draw = drawing.draw_all
    monkeypatch.setattr(drawing, "BATCH", 4)

    def draw_and_cancel(*arguments: object) -> object:
        if place.ledger.get(job).state is JobState.RUNNING:
            with place.database.write() as session:
                cancel_job(session, job, actor="ada")
        faces = draw(*arguments)  # type: ignore[arg-type]
        drawing.time.sleep(1.5)  # long enough for the pulse to hear of it
        return faces

    monkeypatch.setattr(drawing, "draw_all", draw_and_cancel)
    runner.run_until_idle()
    runner.close()
    counters = place.ledger.counters(job)
    assert place.ledger.get(job).state is JobState.CANCELLED
    assert counters["cancelled"] > 60
    assert counters["done"] + counters["failed"] + counters["cached"] + counters["cancelled"] == 96
    with place.database.read() as session:
        assert session.scalars(select(Attempt.state)).all().count("active") == 0
