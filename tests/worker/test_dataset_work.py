"""A preparation job carried out by real workers: to the end, after a kill, and beside recordings to draw."""

from __future__ import annotations

import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import pytest
from sqlalchemy import func, select

from core.claims.chunks import PrepareChunk
from core.claims.leases import claim_chunk, reap
from core.config import BUNDLED_WEIGHTS, to_environment
from core.datasets.layouts import SourceFile, plan_files
from core.datasets.plan import Entry, Person, Plan
from core.datasets.preparing import create_prepare_job
from core.datasets.recipes import FaceRecipe, Recipe, SplitRecipe, VoiceRecipe
from core.incoming.recordings import take_in
from core.ledger.tables import DatasetShard, DatasetVersion, Item, Job
from core.models.registry import register_model
from core.objects import dataset_plan_key, recording_key
from core.states import ItemState, JobState
from tests.worker.ml.small_networks import save_small_networks
from tests.worker.place import Place
from tests.worker.test_any_pair import pictures
from worker import preparation, prepare
from worker.dataset_work import DatasetWork
from worker.decoding.decoders import Decoders
from worker.models import Models
from worker.shortage import DeviceLost

REPOSITORY = Path(__file__).resolve().parents[2]
SAMPLES = REPOSITORY / "samples"

pytestmark = pytest.mark.skipif(not BUNDLED_WEIGHTS.is_dir(), reason="the default model is not in weights/")


def plan_of_samples(place: Place, *, shard_entries: int = 4, faces: bool = False) -> Plan:
    """Every sample is the voice of a person; with `faces`, a pattern is their picture."""
    voices = {path.stem: path.read_bytes() for path in sorted(SAMPLES.iterdir()) if path.suffix == ".flac"}
    people = tuple(
        Person(name, name, "train" if number % 5 else "test") for number, name in enumerate(voices)
    )
    entries = [
        Entry(f"{name}/voice.flac", name, "voice", "recording", send(place, content))
        for name, content in voices.items()
    ]
    if faces:
        for person, content in zip(people, pictures(len(people)).values(), strict=True):
            entries.append(Entry(f"{person.id}/face.png", person.id, "face", "picture", send(place, content)))
    recipe = Recipe(
        voice=VoiceRecipe(features=("waveform", "ve_conv")),
        face=FaceRecipe(outputs=("picture", "embedding"), size=32, encoder="eyes@1") if faces else None,
        split=SplitRecipe(train=0.8, validation=0, test=0.2),
        shard_entries=shard_entries,
    )
    return Plan("folders", recipe, people, tuple(sorted(entries, key=lambda entry: entry.key)))


def send(place: Place, content: bytes) -> str:
    owner = place.ledger.user().id
    taken = take_in(place.database, place.store, io.BytesIO(content), owner_id=owner, max_bytes=2**30)
    return taken.sha256


def submit(place: Place, plan: Plan) -> str:
    place.store.put(dataset_plan_key(plan.sha256), plan.to_bytes(), "application/x-ndjson")
    with place.database.write() as session:
        owner = place.ledger.user().id
        return create_prepare_job(session, owner_id=owner, dataset="people", plan=plan).id


def state_of(place: Place, job_id: str) -> JobState:
    with place.database.read() as session:
        job = session.get(Job, job_id)
        assert job is not None
        return job.state


def versions(place: Place) -> list[DatasetVersion]:
    with place.database.read() as session:
        return list(session.scalars(select(DatasetVersion).order_by(DatasetVersion.version)))


def test_voices_and_faces_become_a_dataset_version_whose_files_are_what_it_says(
    place: Place, tmp_path: Path
) -> None:
    eyes = save_small_networks(tmp_path / "networks")["vgg_face"]
    register_model(place.database, place.store, eyes, name="eyes")
    plan = plan_of_samples(place, faces=True)
    job = submit(place, plan)
    place.work()
    assert state_of(place, job) is JobState.COMPLETED
    (version,) = versions(place)
    assert version.label == "people@1"
    names = {file["name"] for file in version.files}
    assert {"dataset.json", "index.jsonl", "report.json", "shards/00000.tar"} <= names
    for file in version.files:
        content = place.store.get(file["key"])
        assert hashlib.sha256(content).hexdigest() == file["sha256"]
        assert len(content) == file["size_bytes"]
    described = next(file for file in version.files if file["name"] == "dataset.json")
    assert described["sha256"] == version.sha256
    assert json.loads(place.store.get(described["key"]))["plan_sha256"] == plan.outline_sha256
    index = next(file for file in version.files if file["name"] == "index.jsonl")
    lines = [json.loads(line) for line in place.store.get(index["key"]).splitlines()]
    assert len(lines) == len(plan.entries)
    kinds = {line["side"]: {name for name in line["members"] if name != "json"} for line in lines}
    assert kinds["voice"] == {"waveform", "ve_conv"}
    assert kinds["face"] == {"picture", "embedding"}


def test_the_same_inputs_prepared_again_are_the_same_version(place: Place) -> None:
    plan = plan_of_samples(place)
    for _ in range(2):
        assert submit(place, plan)
        place.work()
    assert [version.label for version in versions(place)] == ["people@1"]


def test_an_input_that_is_gone_from_the_store_is_named_in_the_report(place: Place) -> None:
    plan = plan_of_samples(place)
    gone = plan.entries[3]
    place.store.delete(recording_key(gone.source or ""))
    submit(place, plan)
    place.work()
    (version,) = versions(place)
    report = next(file for file in version.files if file["name"] == "report.json")
    assert gone.key in place.store.get(report["key"]).decode()


def test_a_dataset_of_which_nothing_could_be_kept_is_no_version_and_says_why(place: Place) -> None:
    people = (Person("ann", "Ann", "train"), Person("bob", "Bob", "train"))
    entries = tuple(
        Entry(f"{person.id}/a.wav", person.id, "voice", "recording", send(place, person.id.encode()))
        for person in people
    )
    job = submit(place, Plan("folders", Recipe(face=None), people, entries))
    place.work()
    assert state_of(place, job) is JobState.COMPLETED_WITH_ERRORS
    assert versions(place) == []
    with place.database.read() as session:
        query = select(Item.error_message).where(Item.job_id == job, Item.error_code == "nothing_kept")
        message = session.scalar(query)
    assert message is not None
    assert message.startswith("Nothing could be kept: 2 not_audio (such as ann/a.wav: ")


def test_a_missing_plan_fails_the_job_with_a_sentence_and_a_retry_mends_it(place: Place) -> None:
    plan = plan_of_samples(place)
    with place.database.write() as session:
        owner = place.ledger.user().id
        job = create_prepare_job(session, owner_id=owner, dataset="people", plan=plan).id
    place.work()
    assert state_of(place, job) is JobState.COMPLETED_WITH_ERRORS
    with place.database.read() as session:
        codes = set(session.scalars(select(Item.error_code).where(Item.job_id == job)))
    assert codes == {"not_found"}
    assert versions(place) == []


def test_a_worker_killed_in_the_middle_costs_what_it_held_and_changes_nothing(place: Place) -> None:
    plan = plan_of_samples(place, shard_entries=1)
    submit(place, replace(plan, layout="another"))  # the same shards, made undisturbed
    place.work()
    (undisturbed,) = versions(place)
    job = submit(place, plan)
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
        deadline = time.monotonic() + 120
        while shards_of(place, job) < 2:
            assert time.monotonic() < deadline, "no shard was published"
            assert worker.poll() is None
            time.sleep(0.005)
    finally:
        worker.send_signal(signal.SIGKILL)
        worker.wait()
    before = shards_of(place, job)
    assert before < len(plan.shards())
    assert reap(place.database, max_attempts=3) >= 1
    place.work()
    assert state_of(place, job) is JobState.COMPLETED
    assert shards_of(place, job) == len(plan.shards())
    resumed = versions(place)[-1]
    assert shard_hashes(resumed) == shard_hashes(undisturbed)


def test_a_gpu_that_fails_gives_a_preparation_back_and_fails_none_of_it(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = submit(place, plan_of_samples(place, shard_entries=40))
    worker, models = place.ledger.worker(), Models(place.settings, place.database, place.store)
    with Decoders() as decoders:
        work = DatasetWork(place.database, place.store, models, "cpu", decoders)
        for failure, told in (
            ("CUDA out of memory. Tried to allocate 2.00 GiB", nullcontext()),
            ("CUDA error: unspecified launch failure", pytest.raises(DeviceLost)),
        ):
            monkeypatch.setattr(preparation.Preparer, "prepare", Mock(side_effect=RuntimeError(failure)))
            with place.database.write() as session:
                chunk = claim_chunk(session, worker, "gpu", size=8, lease_seconds=60, kinds=["prepare"])
            assert isinstance(chunk, PrepareChunk)
            with told:
                assert not work.carry_out(chunk, lambda: None, lambda doing: None)
            with place.database.read() as session:
                states = set(session.scalars(select(Item.state).where(Item.job_id == job)))
            assert states == {ItemState.PENDING.value}


def test_a_folder_prepared_here_and_its_files_sent_are_the_same_dataset(place: Place, tmp_path: Path) -> None:
    folder = tmp_path / "people"
    for number, path in enumerate(sorted(SAMPLES.glob("*.flac"))[:6]):
        person = folder / f"person {number // 2}"
        person.mkdir(parents=True, exist_ok=True)
        (person / path.name).write_bytes(path.read_bytes())
    recipe = Recipe(face=None, shard_entries=2)
    sent = [
        SourceFile(path.relative_to(folder).as_posix(), send(place, path.read_bytes()), path.read_bytes)
        for path in sorted(folder.rglob("*.flac"))
    ]
    submit(place, plan_files(sent, recipe))
    place.work()
    (version,) = versions(place)
    out = tmp_path / "out"
    arguments = [str(folder), "--out", str(out), "--device", "cpu", "--recipe-json", recipe.model_dump_json()]
    assert prepare.main([*arguments, "--json"]) == 0
    assert hashlib.sha256((out / "dataset.json").read_bytes()).hexdigest() == version.sha256


def shards_of(place: Place, job_id: str) -> int:
    with place.database.read() as session:
        query = select(func.count()).select_from(DatasetShard).where(DatasetShard.job_id == job_id)
        return session.scalar(query) or 0


def shard_hashes(version: DatasetVersion) -> list[str]:
    return [file["sha256"] for file in version.files if file["name"].startswith("shards/")]


def test_cancelled_in_the_middle_of_a_shard_it_stops_there_and_gives_it_back(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preparation, "BATCH", 2)
    monkeypatch.setattr(preparation, "AT_ONCE", 2)
    job = submit(place, plan_of_samples(place, shard_entries=1000))
    with place.database.write() as session:
        chunk = claim_chunk(session, place.ledger.worker(), place.settings.queue, size=4, lease_seconds=60)
    assert isinstance(chunk, PrepareChunk)
    told: list[str] = []

    def why_stop() -> str | None:
        return "it was cancelled" if any("done" in words for words in told) else None

    models = Models(place.settings, place.database, place.store)
    with Decoders() as decoders:
        work = DatasetWork(place.database, place.store, models, "cpu", decoders)
        assert work.carry_out(chunk, why_stop, told.append), "nothing around it failed"
    assert [words for words in told if "done" in words] == [f"preparing {chunk.items[0].name}: 2 done"]
    with place.database.read() as session:
        states = session.scalars(select(Item.state).where(Item.job_id == job)).all()
        assert set(states) == {ItemState.PENDING}
        assert not session.scalar(select(func.count()).select_from(DatasetShard))
