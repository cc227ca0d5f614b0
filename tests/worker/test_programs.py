"""Trainings, evaluations and analyses carried out by real workers with made-up programs, well and badly behaved."""

from __future__ import annotations

import copy
import dataclasses
import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from sqlalchemy import select

from core.config import BUNDLED_WEIGHTS, to_environment
from core.jobs import cancel_job, pause_job, retry_job
from core.leases import reap
from core.states import ItemState, JobState
from core.tables import Job
from core.training import run_again
from core.training_specs import AnalyseSpec, EvaluateSpec, GanTask, TrainSpec
from core.workers import drain_processes
from tests.conftest import settings_for, sqlite_url
from tests.servers import Broker, ObjectStore
from tests.worker.program_place import ProgramPlace
from worker.runner import Runner

REPOSITORY = Path(__file__).resolve().parents[2]
SAMPLES = REPOSITORY / "samples"

pytestmark = pytest.mark.skipif(not BUNDLED_WEIGHTS.is_dir(), reason="the default model is not in weights/")

# Counts to ten, a step every 50 ms, with a checkpoint at each; goes on where its last checkpoint is.
COUNTS = """
asked = []
signal.signal(signal.SIGTERM, lambda *_: asked.append(1))
kept = sorted((run / "checkpoints").glob("*.safetensors"))
step = int(kept[-1].stem) if kept else 0
begun = step or None
(run / "pid").write_text(str(os.getpid()))
while step < 10:
    step += 1
    time.sleep(0.05)
    tell("metrics", step=step, epoch=step / 5, values={"train/total": 1 / step, "odd": float("nan")})
    leave(f"checkpoints/{step:08d}.safetensors", b"weights %d" % step, "checkpoint", step)
    if step > 2:
        (run / f"checkpoints/{step - 2:08d}.safetensors").unlink()
        tell("file", kind="checkpoint", name=f"checkpoints/{step - 2:08d}.safetensors", gone=True)
    tell("progress", step=step, steps=10, epoch=1, epochs=2, resumed_at_step=begun, doing="counting")
    if asked:
        sys.exit(75)
    PAUSE
leave("model/voice/config.json", b"{}", "model")
end(model={}, steps=step)
"""


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


def a_training(place: ProgramPlace, dataset: str = "people@1", **machine: object) -> str:
    """Of a kind whose spec names no other model; what is trained is for the program to say."""
    values = {"model": "mine", "dataset": dataset, "recipe": {"task": "default"}, "machine": machine}
    return place.start(TrainSpec.model_validate({**values, "after": {"evaluate": False, "gate": None}}))


def an_evaluation(place: ProgramPlace) -> str:
    return place.start(EvaluateSpec(model="default", dataset="people@1"))


def counts(place: ProgramPlace, pause: str = "pass") -> None:
    place.write_program("train", COUNTS.replace("PAUSE", pause))


def wait_for(condition: Callable[[], object], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.02)


class Worker:
    """A runner in a thread of its own, until the end of the block."""

    def __init__(self, place: ProgramPlace) -> None:
        self.runner = Runner(place.settings, programs=place.programs)
        self._thread = threading.Thread(target=self.runner.run_until_idle, daemon=True)

    def __enter__(self) -> Worker:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.join()
        self.runner.close()

    def join(self, seconds: float = 60.0) -> None:
        self._thread.join(seconds)
        assert not self._thread.is_alive()


def test_an_evaluation_leaves_its_numbers_files_log_and_curves(place: ProgramPlace) -> None:
    place.write_program(
        "evaluate",
        """
        assert request["spec"]["model"] == "default@1" and request["spec"]["dataset"] == "people@1"
        assert (pathlib.Path(request["dataset"]) / "shards/00000.tar").read_bytes() == b"a shard"
        assert (pathlib.Path(request["models"]["default@1"]) / "config.json").is_file()
        assert not [name for name in os.environ if name.startswith("VOICESKETCH_")]
        print("no event at all")
        print("a warning", file=sys.stderr)
        tell("progress", step=3, steps=4, doing="measuring")
        tell("metrics", step=1, epoch=0.5, values={"a": 1.5, "b": float("inf")})
        tell("metrics", step=1, epoch=0.5, values={"a": 2.5})
        tell("note", text="few people", level="warning")
        leave("report/report.html", b"<p>good</p>", "report")
        leave("../outside.txt", b"no", "report")
        end(metrics={"ssim": {"value": 0.5, "better": "higher", "low": None, "high": None, "count": 3}})
        """,
    )
    job = an_evaluation(place)
    place.work()
    assert place.job(job).state is JobState.COMPLETED
    assert place.points(job) == {("a", 1): 2.5}
    progress = place.progress(job)
    assert progress is not None
    assert (progress.step, progress.steps, progress.doing) == (3, 4, "measuring")
    assert {"no event at all", "a warning", "few people"} <= set(place.log(job))
    assert place.files(job).keys() == {"report/report.html", "result.json"}
    assert place.files(job)["report/report.html"].media_type == "text/html"
    assert place.content(job, "report/report.html") == b"<p>good</p>"
    result = json.loads(place.content(job, "result.json"))
    assert result["metrics"]["ssim"]["value"] == 0.5
    assert result["evaluation"].startswith("evaluation_")


def test_an_analysis_runs_its_own_program(place: ProgramPlace) -> None:
    place.write_program(
        "analyse", 'leave("grid.png", b"png", "chart")\nend(asked=request["spec"]["analyses"])'
    )
    job = place.start(AnalyseSpec(model="default", dataset="people@1", analyses=("voice_path",)))
    place.work()
    assert place.job(job).state is JobState.COMPLETED
    assert json.loads(place.content(job, "result.json")) == {"asked": ["voice_path"]}
    assert place.files(job)["grid.png"].media_type == "image/png"


@pytest.mark.parametrize(
    ("body", "code", "words"),
    [
        ('tell("failed", code="not_finite", message="A loss is NaN.")\nsys.exit(1)', "not_finite", "NaN"),
        ("sys.stdout.write('x' * 3_000_000)", "program_killed", "without saying how it went"),
    ],
)  # fmt: skip
def test_a_program_that_ends_badly_fails_its_job_with_a_sentence(
    place: ProgramPlace, body: str, code: str, words: str
) -> None:
    place.write_program("train", body)
    job = a_training(place)
    place.work()
    found = place.job(job)
    assert found.state is JobState.FAILED
    assert found.error_code == code
    assert words in (found.error_message or "")
    training, model = place.steps(job)
    assert (training.error_code, model.error_code) == (code, "step_before_failed")
    assert training.attempts == (1 if code == "not_finite" else 3)


def test_a_program_that_once_dies_goes_on_from_its_checkpoint_and_says_so(place: ProgramPlace) -> None:
    counts(place, "step == 6 and not begun and os.kill(os.getpid(), signal.SIGKILL)")
    job = a_training(place)
    place.work()
    training = place.steps(job)[0]
    assert training.state is ItemState.DONE
    assert training.attempts == 2
    progress = place.progress(job)
    assert progress is not None and progress.resumed_at_step == 6
    assert any("memory ran out" in line for line in place.log(job))


def test_limits_of_a_spec_end_its_job_with_their_names(place: ProgramPlace) -> None:
    place.write_program("train", "block = bytearray(400_000_000)\ntime.sleep(60)")
    job = a_training(place, memory_gib=0.2)
    place.work()
    assert place.job(job).error_code == "memory_limit"
    assert "0.2 GiB" in (place.job(job).error_message or "")


def test_only_the_last_checkpoints_stay_in_the_store_and_points_are_there_once(place: ProgramPlace) -> None:
    counts(place)
    job = a_training(place)
    place.work()
    kept = {name for name in place.files(job) if name.startswith("checkpoints/")}
    assert kept == {"checkpoints/00000009.safetensors", "checkpoints/00000010.safetensors"}
    stored = set(place.store.keys(f"jobs/{job}/"))
    assert stored == {file.object_key for file in place.files(job).values()}
    assert place.points(job) == {("train/total", step): 1 / step for step in range(1, 11)}


def test_cancelling_leaves_a_checkpoint_in_the_store_and_a_retry_elsewhere_goes_on(
    place: ProgramPlace, tmp_path: Path
) -> None:
    counts(place, "time.sleep(0.5)")
    job = a_training(place)
    with Worker(place):
        wait_for(lambda: len(place.points(job)) >= 2)
        began = time.monotonic()
        with place.database.write() as session:
            cancel_job(session, job, actor="tester")
        wait_for(lambda: place.job(job).state is JobState.CANCELLED)
        assert time.monotonic() - began < 10
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
        wait_for(lambda: place.job(job).state is JobState.CANCELLED, 15)
    assert not any(psutil.pid_exists(pid) for pid in json.loads(place.content(job, "pids")))


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
        began = time.monotonic()
        wait_for(lambda: place.job(drawing).state is JobState.COMPLETED, 60)
        assert place.job(training).state is JobState.RUNNING
        assert time.monotonic() - began < 30  # the model has to be loaded first
        (place.folder / "enough").touch()
    assert place.steps(training)[0].state is ItemState.DONE


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
    wait_for(lambda: not any(psutil.pid_exists(pid) for pid in pids), 5)
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

        from core.database import now
        from core.tables import Attempt

        with place.database.write() as session:
            session.execute(update(Attempt).values(lease_until=now(session)))
        wait_for(lambda: reap(place.database, max_attempts=3) == 1, 5)
        before = place.points(job)
        worker.join()
    assert not psutil.pid_exists(pid)
    assert place.points(job) == before
    assert place.steps(job)[0].state is ItemState.PENDING


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


def test_a_dataset_that_is_gone_from_the_store_is_said_before_anything_runs(place: ProgramPlace) -> None:
    gone = place.add_dataset({"dataset.json": b'{"gone": 1}', "shards/00000.tar": b"soon gone"})
    place.store.delete(f"test/{hashlib.sha256(b'soon gone').hexdigest()}")
    counts(place)
    job = a_training(place, dataset=gone)
    place.work()
    assert place.job(job).error_code == "dataset_not_found"
    assert gone in (place.job(job).error_message or "")


def test_two_workers_share_trainings_one_program_each(place: ProgramPlace) -> None:
    counts(place, "time.sleep(0.1)")
    jobs = [a_training(place) for _ in range(2)]
    with Worker(place), Worker(place):
        wait_for(lambda: all(place.job(job).state is JobState.RUNNING for job in jobs))
    assert all(place.steps(job)[0].state is ItemState.DONE for job in jobs)
    assert all(len(place.points(job)) == 10 for job in jobs)


def test_run_again_begins_from_scratch_with_the_same_versions(place: ProgramPlace) -> None:
    counts(place)
    place.add_dataset({"dataset.json": b'{"newest": 1}'})
    first = a_training(place, dataset="people")
    place.work()
    place.add_dataset({"dataset.json": b'{"newer": 1}'})
    with place.database.write() as session:
        again = run_again(session, first, owner_id=place.owner).id
    assert again != first
    assert place.job(again).spec == place.job(first).spec
    place.work()
    progress = place.progress(again)
    assert progress is not None and progress.resumed_at_step is None


def test_a_trained_network_is_registered_paired_measured_and_promoted(place: ProgramPlace) -> None:
    networks = place.add_networks("matching_speech_encoder")
    place.write_program(
        "train",
        f"""
        import shutil
        shutil.copytree({str(networks["conditional_generator"])!r}, run / "model/generator")
        for path in sorted((run / "model/generator").iterdir()):
            tell("file", kind="model", name=f"model/generator/{{path.name}}")
        end(model={{"generator": "generator"}}, steps=5)
        """,
    )
    place.write_program(
        "evaluate",
        """
        better = request["spec"]["model"].startswith("faces@")
        leave("report/report.json", json.dumps({"model": request["spec"]["model"]}).encode(), "report")
        end(metrics={"ssim": {"value": 0.7 if better else 0.6, "better": "higher"}})
        """,
    )
    spec = TrainSpec.model_validate(
        {
            "model": "faces",
            "dataset": "people@1",
            "recipe": GanTask(voice_encoder="matching_speech_encoder"),
            "after": {"split": "validation", "gate": {"metric": "ssim"}, "promote": True},
        }
    )
    job = place.start(spec)
    place.work()
    assert place.job(job).state is JobState.COMPLETED, place.job(job).error_message
    result = json.loads(place.content(job, "result.json"))
    assert result["versions"] == {"generator": "faces-generator@1", "pair": "faces@1"}
    assert result["version"] == "faces@1"
    assert result["promoted"] is True
    assert result["gate"]["passed"] is True
    assert (result["gate"]["candidate"], result["gate"]["production"]) == (0.7, 0.6)
    assert json.loads(place.content(job, "report/report.json")) == {"model": "faces@1"}
    assert json.loads(place.content(job, "production/report/report.json")) == {"model": "default@1"}
    from core.registry import resolve_model

    with place.database.read() as session:
        production = resolve_model(session, "production")
    assert production.label == "faces@1"
    assert production.job_id == job
    assert place.job(job).model_version_id == production.id
