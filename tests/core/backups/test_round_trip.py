"""Backing up a place at work, and bringing it back into an empty one of the other kind of database."""

from __future__ import annotations

import hashlib
import io
import random
import threading
from pathlib import Path

import pytest
from sqlalchemy import func, select

from core.backups import backup as making
from core.backups import restore as restoring
from core.backups.backup import back_up
from core.backups.format import read_members
from core.config import Settings
from core.errors import Conflict
from core.incoming.recordings import take_in
from core.keeping.erasure import erase
from core.ledger.database import Database
from core.ledger.schedule_tables import Collection, CollectionPlan, JobWebhook
from core.ledger.tables import Artifact, Attempt, Base, DatasetShard, Item, Job, Recording, Transition, Worker
from core.ledger.training_tables import Measurement
from core.objects import dataset_plan_key, dataset_shard_key, dataset_sidecar_key, model_upload_key
from core.people import audit
from core.people.audit import list_entries
from core.progress import Silent
from core.states import JobState
from core.store import Store
from tests.core.backups.saving import bring_back, opened, save
from tests.dashboard.conftest import Place
from tests.dashboard.world import World
from tests.factories import Ledger
from tests.fakes import FakeWorker


def rows_of(database: Database) -> dict[str, list[str]]:
    with database.read() as session:
        return {
            table.name: sorted(repr(tuple(row)) for row in session.execute(select(table)))
            for table in Base.metadata.sorted_tables
        }


def test_a_place_at_work_comes_back_elsewhere_and_the_job_is_finished_there(
    place: Place, elsewhere: Settings, tmp_path: Path
) -> None:
    ada = place.script("ada")
    job_id = ada.job(40, labels={"project": "radio"}, webhook_url="https://93.184.216.34/told")
    worker = place.worker()
    worker.step(10)
    held = worker.claim(5)
    assert held is not None
    ended = threading.Event()

    def draw_on() -> None:
        while worker.step(1) and not ended.is_set():
            pass

    drawing = threading.Thread(target=draw_on)
    drawing.start()
    try:
        made = save(place, tmp_path / "all.tar")
    finally:
        ended.set()
        drawing.join()
    assert (made.lost, made.secrets_left_out) == ([], 1)
    assert made.bytes == (tmp_path / "all.tar").stat().st_size

    restored = bring_back(elsewhere, tmp_path / "all.tar")
    assert restored.end["objects"] == made.objects
    database, store = Database(elsewhere.database_url), Store(elsewhere)
    with database.read() as session:
        job = session.get_one(Job, job_id)
        assert (job.leased, job.labels) == (0, {"project": "radio"})
        done = job.done
        assert 10 <= done <= 35, "it was backed up in its middle"
        # What was held is nobody's again, without counting as a loss.
        states = session.scalars(select(Attempt.state).where(Attempt.ended_at.is_(None))).all()
        assert states == []
        assert session.scalar(select(func.max(Item.lost)).where(Item.job_id == job_id)) == 0
        assert session.scalars(select(Worker.id).where(Worker.ended_at.is_(None))).all() == []
        assert session.scalars(select(JobWebhook)).all() == []
    other = FakeWorker(elsewhere, database, store)
    assert other.run() == 40 - done
    with database.read() as session:
        job = session.get_one(Job, job_id)
        assert (job.state, job.done, job.failed) == (JobState.COMPLETED, 40, 0)
        faces = session.scalars(select(Artifact)).all()
        recordings = session.scalars(select(Recording)).all()
        assert session.scalar(select(func.count()).select_from(Transition)) == len(
            set(session.scalars(select(Transition.id)))
        )
        assert [one.action for one in list_entries(session)] == ["backup.restore"]
    assert (len(faces), len(recordings)) == (120, 40)
    for face in faces:
        assert hashlib.sha256(store.get(face.object_key)).hexdigest() == face.sha256
    for recording in recordings:
        assert hashlib.sha256(store.get(recording.object_key)).hexdigest() == recording.sha256
    assert store.fetch(faces[0].object_key).media_type == faces[0].media_type
    with place.database.read() as session:
        assert [one.action for one in list_entries(session)] == ["backup.make"]
    database.dispose()


def test_every_row_comes_back_as_it_was(place: Place, elsewhere: Settings, tmp_path: Path) -> None:
    """Times, empty values, numbers with fractions, names from anywhere, and what signs notes where it is asked for."""
    ledger = Ledger(place.database, place.users)
    ada = place.script("ada")
    job_id = ada.job(3, name="Stimmen “für” später, 声", webhook_url="https://93.184.216.34/told")
    place.worker().run()
    item = ada.get(f"/api/v1/jobs/{job_id}/items").json["data"][0]
    note = {"note": "a tab\t and \u2028", "favourite": True}
    assert ada.ask("PUT", f"/api/v1/jobs/{job_id}/items/{item['id']}/mark", json=note).status_code == 200
    ledger.dataset()
    with place.database.write() as session:
        at = session.get_one(Job, job_id).created_at
        session.add(
            Measurement(job_id=job_id, series="train/total", step=2**31 - 1, epoch=0.1, value=1 / 3, at=at)
        )
    with place.database.write() as session:
        audit.record(
            session, actor="tests", action="tests.note", subject="all", details={"deep": [None, 1.5]}
        )
    before = rows_of(place.database)
    save(place, tmp_path / "all.tar", with_secrets=True)
    bring_back(elsewhere, tmp_path / "all.tar")
    database = Database(elsewhere.database_url)
    after = rows_of(database)
    # Workers are of one place only, and the audit log goes on.
    workers, entries = after.pop("workers"), after.pop("audit_entries")
    assert len(workers) == len(before.pop("workers"))
    assert set(before.pop("audit_entries")) < set(entries)
    assert {name for name, rows in before.items() if rows} >= {"job_webhooks", "face_marks", "measurements"}
    assert after == before
    # New rows are numbered behind those that came.
    again = Ledger(database)
    assert again.job(1, owner="bob", prefix="new")
    database.dispose()


def test_what_is_deleted_while_a_backup_is_made_is_not_restored(
    sqlite_place: Place, elsewhere: Settings, tmp_path: Path
) -> None:
    place, file = sqlite_place, tmp_path / "all.tar"
    ada, bob = place.script("ada"), place.script("bob")
    ada.job(5)
    kept = bob.job(3)  # over the first three of ada's recordings
    place.worker().run()

    class Deleting(Silent):
        def step(self, doing: str, done: int, total: int) -> None:
            if (doing, done) == ("copying objects", 20):
                user = place.user("ada").id
                assert erase(place.database, place.store, user, actor=user).finished

    with file.open("wb") as stream:
        made = back_up(place.settings, place.database, place.store, stream, Deleting())
    assert (made.lost, made.objects) == ([], 3 + 9)
    with file.open("rb") as stream:
        assert sum(member.object_key is not None for member in read_members(stream)) == 20
    bring_back(elsewhere, file)
    database, store = Database(elsewhere.database_url), Store(elsewhere)
    with database.read() as session:
        assert session.scalars(select(Job.id)).all() == [kept]
        named = {
            *session.scalars(select(Artifact.object_key)),
            *session.scalars(select(Recording.object_key)),
        }
    assert set(store.keys()) == named
    database.dispose()


def test_an_object_that_is_lost_is_told_and_holds_up_nothing(
    sqlite_place: Place, elsewhere: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(making, "_PATIENCE_SECONDS", 0.0)
    place, file = sqlite_place, tmp_path / "all.tar"
    place.script("ada").job(2)
    lost = next(place.store.keys("recordings/"))
    place.store.delete(lost)
    assert save(place, file).lost == [lost]
    assert bring_back(elsewhere, file).end["lost"] == [lost]


def test_only_an_empty_place_is_restored_into_and_a_stopped_restore_goes_on(
    sqlite_place: Place, elsewhere: Settings, tmp_path: Path
) -> None:
    place, file = sqlite_place, tmp_path / "all.tar"
    place.script("ada").job(12)
    place.worker().run()
    made = save(place, file)
    before = rows_of(place.database)
    with pytest.raises(Conflict, match=r"is not empty: its table \w+ has rows"):
        bring_back(place.settings, file)
    assert rows_of(place.database) == before

    other = Store(elsewhere)
    other.ensure_bucket()
    other.put("somebody/else", b"1", "text/plain")
    with pytest.raises(Conflict, match="there are objects in its bucket"):
        bring_back(elsewhere, file)
    assert list(other.keys()) == ["somebody/else"]
    other.delete("somebody/else")

    class Stopped(Silent):
        def __init__(self, at: str) -> None:
            self.at = at

        def step(self, doing: str, done: int, total: int) -> None:
            if doing == self.at and done > 3:
                raise KeyboardInterrupt

    for moment in ("restoring objects", "restoring rows"):
        with pytest.raises(KeyboardInterrupt):
            bring_back(elsewhere, file, Stopped(moment))
    bring_back(elsewhere, file)
    assert len(list(other.keys())) == made.objects == 48
    with pytest.raises(Conflict, match="is not empty"):
        bring_back(elsewhere, file)


def test_a_place_in_which_everything_exists_is_in_it_as_a_whole(
    sqlite_settings: Settings, elsewhere: Settings, tmp_path: Path
) -> None:
    """Models and halves of models, datasets, files of trainings, collections, schedules with their plans, uploads."""
    file = tmp_path / "all.tar"
    for place in opened(sqlite_settings.model_copy(update={"webhooks_to_private": True})):
        world = World(place, tmp_path)
        for name in world._makers():
            world._id(name)
        making_of = _dataset_in_the_making(place)
        stored = set(place.store.keys())
        assert save(place, file).lost == []
        unnamed = {model_upload_key(world._id(name)) for name in ("config", "weights")}
        bring_back(elsewhere, file)
        # A model that was sent and not registered yet is nobody's so far.
        back = set(Store(elsewhere).keys())
        assert stored - back == unnamed
        assert back <= stored and making_of <= back
        folders = {"/".join(key.split("/")[:2]) for key in back}
        assert folders >= {"models/files", "datasets/plans", "datasets/shards"}
        assert {key.split("/")[2] for key in back if key.startswith("jobs/")} == {"attempts", "files"}


def _dataset_in_the_making(place: Place) -> set[str]:
    """A plan, and a shard with what lies beside it; making them takes a worker."""
    sha256 = "ab" * 32
    keys = {dataset_shard_key(sha256), dataset_sidecar_key(sha256), dataset_plan_key(sha256)}
    for key in keys:
        place.store.put(key, key.encode(), "application/octet-stream")
    with place.database.write() as session:
        attempt = session.scalars(select(Attempt).limit(1)).one()
        item = session.scalars(select(Item).limit(1)).one()
        collection = session.scalars(select(Collection).limit(1)).one()
        at = attempt.started_at
        made = {"number": 0, "sha256": sha256, "size_bytes": 1, "kept": 1, "rejected": 0, "created_at": at}
        session.add(DatasetShard(item_id=item.id, job_id=item.job_id, attempt_id=attempt.id, **made))
        plan = {"way_sha256": "cd" * 32, "plan_sha256": sha256, "made_at": at}
        session.add(CollectionPlan(collection_id=collection.id, **plan))
    return keys


def test_what_is_large_goes_through_in_pieces(
    sqlite_place: Place, elsewhere: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (making, restoring):
        monkeypatch.setattr(module, "FETCHED_WHOLE_BYTES", 100_000)
    place, file = sqlite_place, tmp_path / "all.tar"
    owner = place.user("ada").id
    contents = [b"fLaC" + random.Random(size).randbytes(size) for size in (99_000, 300_001, 9 * 2**20)]
    taken = [
        take_in(place.database, place.store, io.BytesIO(content), owner_id=owner, max_bytes=2**24)
        for content in contents
    ]
    assert save(place, file).objects == 3
    bring_back(elsewhere, file)
    store = Store(elsewhere)
    for recording, content in zip(taken, contents, strict=True):
        assert store.get(recording.object_key) == content
        assert store.fetch(recording.object_key).media_type == "audio/flac"
