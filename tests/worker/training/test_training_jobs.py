"""A real training as a job: its program is killed, then its worker, and it ends as one that was left alone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from sqlalchemy import select

from core.claims.leases import reap
from core.config import BUNDLED_WEIGHTS, Settings, to_environment
from core.ledger.tables import ModelVersion
from core.states import JobState
from tests.worker.program_place import ProgramPlace
from tests.worker.training.made_up import MadeUp, spec
from tests.worker.training.running import recipe

REPOSITORY = Path(__file__).resolve().parents[3]

pytestmark = pytest.mark.skipif(not BUNDLED_WEIGHTS.is_dir(), reason="the default model is not in weights/")


@pytest.fixture
def place(sqlite_settings: Settings, made_up: MadeUp, tmp_path: Path) -> Iterator[ProgramPlace]:
    settings = {"cache_folder": tmp_path / "cache", "device": "cpu"}
    place = ProgramPlace(sqlite_settings.model_copy(update=settings), tmp_path)
    files = [
        path
        for path in sorted(made_up.dataset.rglob("*"))
        if path.is_file() and ".progress" not in path.parts
    ]
    place.add_dataset({path.relative_to(made_up.dataset).as_posix(): path.read_bytes() for path in files})
    yield place
    place.database.dispose()


def wait_for(condition: Callable[[], object], seconds: float = 120.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.02)


def checkpoints(place: ProgramPlace, job: str) -> int:
    return sum(file.kind == "checkpoint" for file in place.files(job).values())


def programs_of(job: str) -> list[psutil.Process]:
    """The training itself, and whatever it started; without the worker and the keeper."""
    found = []
    for process in psutil.process_iter():
        try:
            line = process.cmdline()
        except psutil.Error:
            continue
        if (
            any(job in word for word in line)
            and "worker.train" in line
            and not any("keeper" in word for word in line)
        ):
            found.append(process)
    return found


def test_a_training_whose_program_and_worker_are_killed_ends_with_the_very_weights_of_one_left_alone(
    place: ProgramPlace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Sums of several threads come out otherwise than those of one; the two workers are of one kind.
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    wanted = spec(
        recipe("matching", loop={"epochs": 5, "batch": 8}),
        machine={"sample_pictures": 0, "log_steps": 1},
        after={"evaluate": False, "gate": None},
    )
    disturbed, undisturbed = place.start(wanted), place.start(wanted)
    worker = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "from core.config import load_settings\nfrom worker.runner import Runner\n"
            "Runner(load_settings()).run_until_idle()",
        ],
        cwd=REPOSITORY,
        env={**os.environ, **to_environment(place.settings)},
        stdout=subprocess.DEVNULL,
    )
    try:
        wait_for(lambda: checkpoints(place, disturbed))
        for program in programs_of(disturbed):
            program.kill()
        wait_for(lambda: any("SIGKILL" in line for line in place.log(disturbed)))
        wait_for(lambda: (progress := place.progress(disturbed)) and progress.resumed_at_step)
    finally:
        worker.send_signal(signal.SIGKILL)
        worker.wait()
    wait_for(lambda: not programs_of(disturbed), 30)
    assert reap(place.database, max_attempts=3) == 1
    # Elsewhere: all that is there of it are checkpoints in the store.
    place.settings = place.settings.model_copy(update={"cache_folder": tmp_path / "another machine"})
    place.work()
    for job in (disturbed, undisturbed):
        assert place.job(job).state is JobState.COMPLETED, place.job(job).error_message
    assert place.steps(disturbed)[0].attempts == 3
    assert place.steps(undisturbed)[0].attempts == 1
    of_the_clock = ("samples_per_second", "waiting_for_samples", "memory_bytes")
    curves = [
        {
            point: value
            for point, value in place.points(job).items()
            if point[0].rpartition("/")[2] not in of_the_clock
        }
        for job in (disturbed, undisturbed)
    ]
    assert curves[0] == curves[1]
    models = [
        {name: file.sha256 for name, file in place.files(job).items() if name.endswith("model.safetensors")}
        for job in (disturbed, undisturbed)
    ]
    assert models[0] == models[1]
    assert len(models[0]) == 2
    with place.database.read() as session:
        query = select(ModelVersion).where(ModelVersion.name.startswith("made-up"))
        labels = sorted(version.label for version in session.scalars(query))
    assert labels == ["made-up-face@1", "made-up-voice@1"]  # the same files are the same version
