"""Programs that are cancelled, paused or killed, and workers that leave, die or lose their claim."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from core.claims.leases import reap
from core.claims.workers import drain_processes
from core.config import BUNDLED_WEIGHTS, to_environment
from core.jobs import cancel_job, pause_job, retry_job
from core.states import ItemState, JobState
from tests.living import lives
from tests.worker.program_place import ProgramPlace
from tests.worker.programs.running import (
    COUNTS,
    REPOSITORY,
    Worker,
    a_training,
    counts,
    wait_for,
)

pytestmark = pytest.mark.skipif(not BUNDLED_WEIGHTS.is_dir(), reason="the default model is not in weights/")


def test_cancelling_leaves_a_checkpoint_in_the_store_and_a_retry_elsewhere_goes_on(
    place: ProgramPlace, tmp_path: Path
) -> None:
    counts(place, "time.sleep(0.5)")
    job = a_training(place)
    with Worker(place):
        wait_for(lambda: len(place.points(job)) >= 2)
        with place.database.write() as session:
            cancel_job(session, job, actor="tester")
        wait_for(lambda: place.job(job).state is JobState.CANCELLED)
    last = max(name for name in place.files(job) if name.startswith("checkpoints/"))
    step = int(Path(last).stem)
    assert 2 <= step < 10
    with place.database.write() as session:
        assert retry_job(session, job, actor="tester") == 2
    place.settings = place.settings.model_copy(update={"cache_folder": tmp_path / "another machine"})
    counts(place)
    place.work()
    progress = place.progress(job)
    assert progress is not None and progress.resumed_at_step == step
    assert place.steps(job)[0].state is ItemState.DONE


def test_a_program_that_does_not_stop_is_killed_with_its_children(
    place: ProgramPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    from worker.supervisor import Limits

    place.write_program(
        "train",
        """
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(99)"], start_new_session=True)
        leave("pids", json.dumps([os.getpid(), child.pid]).encode(), "table")
        time.sleep(99)
        """,
    )
    job = a_training(place)
    worker = Worker(place)
    worker.runner._program_work._limits = Limits(stop_seconds=1.0)
    with worker:
        wait_for(lambda: "pids" in place.files(job))
        with place.database.write() as session:
            cancel_job(session, job, actor="tester")
        wait_for(lambda: place.job(job).state is JobState.CANCELLED)
    assert not any(lives(pid) for pid in json.loads(place.content(job, "pids")))


def test_a_paused_training_gives_the_device_back_and_goes_on_when_resumed(place: ProgramPlace) -> None:
    from core.jobs import resume_job

    counts(place, "time.sleep(0.5)")
    job = a_training(place)
    with Worker(place):
        wait_for(lambda: len(place.points(job)) >= 2)
        with place.database.write() as session:
            pause_job(session, job, actor="tester")
        wait_for(lambda: place.steps(job)[0].state is ItemState.PENDING)
    assert place.job(job).state is JobState.PAUSED
    with place.database.write() as session:
        resume_job(session, job, actor="tester")
    counts(place)
    place.work()
    assert place.steps(job)[0].state is ItemState.DONE


def test_a_worker_that_leaves_gives_its_training_back_with_a_checkpoint(place: ProgramPlace) -> None:
    counts(place, "time.sleep(0.5)")
    job = a_training(place)
    with Worker(place) as worker:
        wait_for(lambda: len(place.points(job)) >= 2)
        with place.database.write() as session:
            drain_processes(session, [os.getpid()])
        worker.join()
    training = place.steps(job)[0]
    assert training.state is ItemState.PENDING
    assert training.lost == 0
    counts(place)
    place.work()
    progress = place.progress(job)
    assert progress is not None and progress.resumed_at_step is not None


def test_a_worker_killed_in_the_middle_leaves_no_process_and_another_goes_on(place: ProgramPlace) -> None:
    place.write_program(
        "train",
        COUNTS.replace("PAUSE", "time.sleep(0.2)").replace(
            "while step < 10:",
            "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(99)'], start_new_session=True)\n"
            "leave('pids', json.dumps([os.getpid(), os.getppid(), child.pid]).encode(), 'table')\n"
            "while step < 10:",
        ),
    )
    job = a_training(place)
    code = (
        "import json, sys\nfrom core.config import load_settings\nfrom worker.runner import Runner\n"
        "Runner(load_settings(), programs=json.loads(sys.argv[1])).run_until_idle()"
    )
    worker = subprocess.Popen(
        [sys.executable, "-c", code, json.dumps(place.programs)],
        cwd=REPOSITORY,
        env={**os.environ, **to_environment(place.settings)},
        stdout=subprocess.DEVNULL,
    )
    try:
        wait_for(lambda: len(place.points(job)) >= 3, 60)
    finally:
        worker.send_signal(signal.SIGKILL)
        worker.wait()
    pids = json.loads(place.content(job, "pids"))
    # It takes half a second; the limit is for machines that have much else to do.
    wait_for(lambda: not any(lives(pid) for pid in pids), 30)
    assert reap(place.database, max_attempts=3) == 1
    counts(place)
    place.work()
    progress = place.progress(job)
    assert progress is not None and (progress.resumed_at_step or 0) >= 3
    assert place.points(job) == {("train/total", step): 1 / step for step in range(1, 11)}


def test_an_attempt_that_lost_its_lease_is_killed_and_publishes_nothing_more(place: ProgramPlace) -> None:
    counts(place, "time.sleep(0.3)")
    job = a_training(place)
    with Worker(place) as worker:
        wait_for(lambda: len(place.points(job)) >= 2)
        worker.runner._kinds_wanted = list  # type: ignore[method-assign]
        pid = int((place.settings.cache_folder / "runs" / job / "run" / "pid").read_text())
        # As if its heartbeats had not come through for a minute.
        from sqlalchemy import update

        from core.ledger.database import now
        from core.ledger.tables import Attempt

        def its_lease_runs_out() -> bool:
            with place.database.write() as session:
                session.execute(update(Attempt).values(lease_until=now(session)))
            return reap(place.database, max_attempts=3) == 1

        wait_for(its_lease_runs_out)  # again, where a heartbeat came between the two
        before = place.points(job)
        worker.join()
    assert not lives(pid)
    assert place.points(job) == before
    assert place.steps(job)[0].state is ItemState.PENDING
