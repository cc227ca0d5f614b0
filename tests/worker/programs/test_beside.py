"""What goes on beside a program: drawing, other programs, and a store that is away."""

from __future__ import annotations

import threading

import pytest

from core.config import BUNDLED_WEIGHTS
from core.states import ItemState, JobState
from tests.worker.program_place import ProgramPlace
from tests.worker.programs.running import (
    SAMPLES,
    Worker,
    a_training,
    counts,
    wait_for,
)

pytestmark = pytest.mark.skipif(not BUNDLED_WEIGHTS.is_dir(), reason="the default model is not in weights/")


def test_recordings_are_drawn_while_a_program_runs(place: ProgramPlace) -> None:
    begun, enough = str(place.folder / "begun"), str(place.folder / "enough")
    place.write_program(
        "train",
        f"""
        open({begun!r}, "w").close()
        while not os.path.exists({enough!r}):
            time.sleep(0.05)
        end(model={{}})
        """,
    )
    training = a_training(place)
    with Worker(place):
        wait_for((place.folder / "begun").exists)
        sample = next(SAMPLES.glob("*.flac"))
        drawing = place.submit({sample.name: sample.read_bytes()})
        wait_for(lambda: place.job(drawing).state is JobState.COMPLETED)
        assert place.job(training).state is JobState.RUNNING
        (place.folder / "enough").touch()
    assert place.steps(training)[0].state is ItemState.DONE


def test_files_come_through_although_the_store_was_away_and_training_goes_on_meanwhile(
    place: ProgramPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    from core.errors import StorageUnavailable

    counts(place)
    job = a_training(place)
    worker = Worker(place)
    store = worker.runner._store
    put, away = store.put_file, threading.Event()

    def refuse(*arguments: object) -> None:
        if away.is_set():
            raise StorageUnavailable("It is away.")
        put(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(store, "put_file", refuse)
    away.set()
    with worker:
        wait_for(lambda: len(place.points(job)) == 10)  # it does not wait for the store
        assert place.files(job) == {}
        away.clear()
    assert place.steps(job)[0].state is ItemState.DONE
    assert {"checkpoints/00000009.safetensors", "checkpoints/00000010.safetensors"} <= place.files(job).keys()


def test_two_workers_share_trainings_one_program_each(place: ProgramPlace) -> None:
    counts(place, "time.sleep(0.1)")
    jobs = [a_training(place) for _ in range(2)]
    with Worker(place), Worker(place):
        wait_for(lambda: all(place.job(job).state is JobState.RUNNING for job in jobs))
    assert all(place.steps(job)[0].state is ItemState.DONE for job in jobs)
    assert all(len(place.points(job)) == 10 for job in jobs)
