"""Backing up a place at work, and bringing it back into an empty one of the other kind of database."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import random
import threading
import tracemalloc
import uuid
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import func, select

from core import audit
from core import backup as making
from core import backup_restore as restoring
from core.audit import list_entries
from core.backup import BackupMade, back_up
from core.backup_contents import Contents
from core.backup_format import BackupWriter, new_file, read_members
from core.backup_restore import Backup, differing_settings, restore, verify
from core.config import Settings
from core.database import Database
from core.erasure import erase
from core.errors import Conflict, InvalidRequest
from core.objects import dataset_plan_key, dataset_shard_key, dataset_sidecar_key, model_upload_key
from core.progress import Progress, Silent
from core.recordings import take_in
from core.schedule_tables import Collection, CollectionPlan, JobWebhook
from core.states import JobState
from core.store import Store
from core.tables import Artifact, Attempt, Base, DatasetShard, Item, Job, Recording, Transition, Worker
from core.training_tables import Measurement
from tests.conftest import settings_for, sqlite_url
from tests.dashboard.conftest import Place, make_place
from tests.dashboard.world import World
from tests.factories import Ledger
from tests.fakes import FakeWorker
from tests.ledgers import make_ledger
from tests.servers import ObjectStore


@pytest.fixture
def place(settings: Settings) -> Iterator[Place]:
    """On either kind of database."""
    yield from _opened(settings)


@pytest.fixture
def sqlite_place(sqlite_settings: Settings) -> Iterator[Place]:
    """For what would be the same on either."""
    yield from _opened(sqlite_settings)


def _opened(settings: Settings) -> Iterator[Place]:
    make_ledger(settings.database_url)
    place = make_place(settings)
    yield place
    place.database.dispose()


@pytest.fixture
def elsewhere(
    request: pytest.FixtureRequest, broker_url: str, object_store_server: ObjectStore, tmp_path: Path
) -> Iterator[Settings]:
    """Settings of an empty place. Its database is of the other kind where the first place may be on either."""
    store = dataclasses.replace(object_store_server, bucket=f"test-{uuid.uuid4().hex[:16]}")
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    callspec = getattr(request.node, "callspec", None)
    if callspec is None or callspec.params.get("database_url") != "sqlite":
        yield settings_for(sqlite_url(folder), broker_url, store)
        return
    with request.getfixturevalue("postgres").database() as url:
        yield settings_for(url, broker_url, store)


def save(place: Place, file: Path, *, with_secrets: bool = False) -> BackupMade:
    with file.open("wb") as stream:
        return back_up(
            place.settings, place.database, place.store, stream, Silent(), with_secrets=with_secrets
        )


def bring_back(settings: Settings, file: Path, progress: Progress | None = None) -> Backup:
    with Contents() as contents:
        backup = verify(file, contents, Silent())
        restore(settings, file, backup, contents, progress or Silent())
        return backup


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


def test_a_file_that_is_damaged_or_broke_off_is_refused(sqlite_place: Place, tmp_path: Path) -> None:
    place, file = sqlite_place, tmp_path / "all.tar"
    place.script("ada").job(2)
    place.worker().run()
    save(place, file)
    whole = file.read_bytes()

    def refused(content: bytes) -> str:
        (tmp_path / "bad.tar").write_bytes(content)
        with Contents() as contents, pytest.raises(InvalidRequest) as told:
            verify(tmp_path / "bad.tar", contents, Silent())
        return told.value.message

    assert "broke off" in refused(whole[: len(whole) // 2])
    # Only the zeros that fill up the archive may be missing.
    for share in range(1, 40):
        refused(whole[: (len(whole) - 2048) * share // 40])
    for word in (b"\x89PNG", b"fLaC"):
        place_of = whole.index(word) + 40
        damaged = whole[:place_of] + bytes([whole[place_of] ^ 1]) + whole[place_of + 1 :]
        assert "is damaged" in refused(damaged), word
    row = whole.rindex(b"\x1f\x8b\x08") + 12
    assert "damaged" in refused(whole[:row] + b"\0\0\0\0" + whole[row + 4 :])
    assert "newer version" in refused(whole.replace(b'"revision":"000', b'"revision":"999', 1))
    assert "no backup" in refused(b"")
    assert "no backup" in refused(b"something else" * 1000)
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as made:
        made.writestr("a", "b")
    assert "no backup" in refused(archive.getvalue())


def test_a_file_of_many_objects_is_written_and_read_in_little_memory(tmp_path: Path) -> None:
    count, content = 2_000, bytes(700)
    tracemalloc.start()
    with new_file(tmp_path / "large.tar") as (path, file):
        writer = BackupWriter(file)
        for number in range(count):
            writer.object(f"jobs/job_1/attempts/1/{number}.face.png", len(content), "image/png", [content])
    with path.open("rb") as file:
        assert sum(len(member.file.read()) for member in read_members(file)) == count * len(content)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 700_000, peak  # a kilobyte for each would be two million
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(InvalidRequest, match="is there already"), new_file(path):
        pass


def test_settings_that_were_otherwise_are_told_and_no_secret_is_written(
    sqlite_place: Place, tmp_path: Path
) -> None:
    place, file = sqlite_place, tmp_path / "all.tar"
    changed = place.settings.model_copy(
        update={"lease_seconds": 17.0, "oidc_client_secret": SecretStr("hush-hush")}
    )
    with file.open("wb") as stream:
        back_up(changed, place.database, place.store, stream, Silent())
    with Contents() as contents:
        backup = verify(file, contents, Silent())
    assert differing_settings(place.settings, backup) == {"VOICESKETCH_LEASE_SECONDS": "17.0"}
    assert differing_settings(changed, backup) == {}
    told = json.dumps([backup.head, backup.end])
    for secret in ("hush-hush", "only-for-tests", place.settings.s3_secret_key):
        word = secret if isinstance(secret, str) else secret.get_secret_value() if secret else "?"
        assert word not in told


def test_a_place_in_which_everything_exists_is_in_it_as_a_whole(
    sqlite_settings: Settings, elsewhere: Settings, tmp_path: Path
) -> None:
    """Models and halves of models, datasets, files of trainings, collections, schedules with their plans, uploads."""
    file = tmp_path / "all.tar"
    for place in _opened(sqlite_settings.model_copy(update={"webhooks_to_private": True})):
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
