"""Workers whose disk has too little room: what is told, what is left, and that a retry finds its way."""

from __future__ import annotations

import json

import pytest
from sqlalchemy import select

from core.config import BUNDLED_WEIGHTS
from core.jobs import retry_job
from core.ledger.tables import Transition
from core.states import ItemState, JobState
from tests.living import lives
from tests.worker.conftest import SmallDisk
from tests.worker.program_place import ProgramPlace
from tests.worker.programs.running import SAMPLES, a_training, counts

pytestmark = pytest.mark.skipif(not BUNDLED_WEIGHTS.is_dir(), reason="the default model is not in weights/")


@pytest.fixture
def place(place: ProgramPlace, disk: SmallDisk) -> ProgramPlace:
    place.settings = place.settings.model_copy(update={"cache_folder": disk.folder})
    return place


def a_dataset(place: ProgramPlace, mebibytes: int, *, marked: str) -> str:
    shards = {
        f"shards/{number:05d}.tar": f"{marked} {number}".encode().ljust(2**20, b".")
        for number in range(mebibytes)
    }
    return place.add_dataset({"dataset.json": json.dumps({"marked": marked}).encode(), **shards})


def test_a_dataset_larger_than_the_disk_is_said_and_fits_once_there_is_room(
    place: ProgramPlace, disk: SmallDisk
) -> None:
    counts(place)
    job = a_training(place, dataset=a_dataset(place, 6, marked="large"))
    place.work()
    assert place.job(job).state is JobState.FAILED
    assert place.job(job).error_code == "disk_full"
    assert "Make room in its cache folder, then retry." in (place.job(job).error_message or "")
    assert place.progress(job) is None, "nothing was started"
    assert [path for path in disk.folder.rglob("*") if ".fetching-" in path.name] == [], (
        "nothing torn is left"
    )
    disk.resize(16 * 1024)
    with place.database.write() as session:
        retry_job(session, job, actor="tester")
    place.work()
    assert place.steps(job)[0].state is ItemState.DONE


def test_a_dataset_that_nobody_uses_makes_room_on_a_full_disk(place: ProgramPlace, disk: SmallDisk) -> None:
    counts(place)
    first, second = a_dataset(place, 3, marked="first"), a_dataset(place, 3, marked="second")
    for label in (first, second):
        job = a_training(place, dataset=label)
        place.work()
        assert place.steps(job)[0].state is ItemState.DONE, place.job(job).error_message


def test_recordings_wait_for_room_on_a_full_disk_and_are_drawn_then(
    place: ProgramPlace, disk: SmallDisk
) -> None:
    sample = next(SAMPLES.glob("*.flac"))
    job = place.submit({sample.name: sample.read_bytes()})
    place.work()
    assert place.ledger.items(job)[0].state is ItemState.PENDING, "another worker may have room"
    with place.database.read() as session:
        reasons = session.scalars(select(Transition.reason).where(Transition.job_id == job)).all()
    assert any("its disk is full. Make room" in (reason or "") for reason in reasons)
    assert list(disk.folder.glob("models/*")) == [], "nothing torn is left"
    disk.resize(64 * 1024)
    place.work()
    assert place.job(job).state is JobState.COMPLETED


def test_a_program_that_fills_the_disk_fails_its_job_and_frees_disk_and_device(
    place: ProgramPlace, disk: SmallDisk
) -> None:
    place.write_program(
        "train",
        """
        leave("pid", str(os.getpid()).encode(), "table")
        kept = sorted((run / "checkpoints").glob("*"))
        for step in range(int(kept[-1].stem) + 1 if kept else 1, 6):
            try:
                leave(f"checkpoints/{step:08d}.safetensors", bytes(2**20), "checkpoint", step)
            except OSError as failure:
                (run / f"checkpoints/{step:08d}.safetensors").unlink()
                tell("failed", code="disk_full", message=f"Make room: {failure.strerror}.")
                sys.exit(1)
        end(model={})
        """,
    )
    job = a_training(place)
    place.work()
    found = place.job(job)
    assert (found.state, found.error_code) == (JobState.FAILED, "disk_full")
    assert "No space left" in (found.error_message or "")
    assert not lives(int(place.content(job, "pid"))), "a device is free once its program is gone"
    assert not (disk.folder / "runs" / job).exists(), "what was sent takes no room here"
    assert "checkpoints/00000003.safetensors" in place.files(job)
    disk.resize(16 * 1024)
    with place.database.write() as session:
        retry_job(session, job, actor="tester")
    place.work()
    assert place.steps(job)[0].state is ItemState.DONE
