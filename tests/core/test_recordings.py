"""Recordings, pictures and models in a real object store."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import func, select

from core.bootstrap import migrate
from core.config import Settings
from core.database import Database
from core.errors import InvalidRequest, NotFound, StorageUnavailable, TooLarge
from core.recordings import media_type_of, take_in
from core.registry import PRODUCTION, fetch_model, register_model, resolve_model
from core.store import Store
from core.tables import Recording, RecordingOwner
from tests.factories import Ledger


@pytest.fixture
def store(settings: Settings) -> Store:
    store = Store(settings)
    store.ensure_bucket()
    return store


@pytest.fixture
def ledger(settings: Settings) -> Iterator[Ledger]:
    migrate(settings.database_url)
    database = Database(settings.database_url)
    yield Ledger(database)
    database.dispose()


@pytest.fixture
def model_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"size": 1}))
    (folder / "model.safetensors").write_bytes(b"weights")
    return folder


def test_a_recording_sent_by_two_people_is_stored_once_and_belongs_to_both(
    ledger: Ledger, store: Store
) -> None:
    content = b"RIFF" + b"\0" * 100
    for name in ("ada", "ada", "grace"):
        recording = take_in(
            ledger.database, store, io.BytesIO(content), owner_id=ledger.user(name).id, max_bytes=1000
        )
    assert recording.sha256 == hashlib.sha256(content).hexdigest()
    assert recording.media_type == "audio/wav"
    assert store.get(recording.object_key) == content
    with ledger.database.read() as session:
        assert session.scalar(select(func.count()).select_from(Recording)) == 1
        assert session.scalar(select(func.count()).select_from(RecordingOwner)) == 2


def test_a_recording_that_is_too_large_leaves_nothing(ledger: Ledger, store: Store) -> None:
    with pytest.raises(TooLarge):
        take_in(ledger.database, store, io.BytesIO(b"x" * 1001), owner_id=ledger.user().id, max_bytes=1000)
    assert list(store.keys()) == []


def test_an_empty_recording_is_taken_and_fails_later_with_its_own_code(ledger: Ledger, store: Store) -> None:
    recording = take_in(ledger.database, store, io.BytesIO(b""), owner_id=ledger.user().id, max_bytes=10)
    assert recording.size_bytes == 0
    assert store.get(recording.object_key) == b""


def test_what_a_file_is_called_does_not_make_it_a_page() -> None:
    assert media_type_of(b"<html><script>alert(1)</script>") == "application/octet-stream"
    assert media_type_of(b"\0\0\0\x20ftypM4A ") == "audio/mp4"


def test_ranges_sizes_and_missing_objects(store: Store) -> None:
    store.put("a", b"0123456789", "text/plain")
    assert b"".join(store.stream("a", (2, 4))) == b"234"
    assert store.size("a") == 10
    assert not store.exists("b")
    with pytest.raises(NotFound):
        store.get("b")
    with pytest.raises(NotFound):
        store.stream("b")
    store.delete("a")
    assert list(store.keys()) == []


def test_wrong_credentials_and_an_absent_store_are_the_surroundings_fault(settings: Settings) -> None:
    wrong = Store(settings.model_copy(update={"s3_secret_key": type(settings.secret_key)("wrong" * 10)}))
    with pytest.raises(StorageUnavailable):
        wrong.put("a", b"", "text/plain")
    absent = Store(settings.model_copy(update={"s3_endpoint_url": "http://127.0.0.1:9"}))
    with pytest.raises(StorageUnavailable):
        absent.get("a")


def test_a_model_is_registered_once_and_found_by_alias_name_and_version(
    ledger: Ledger, store: Store, model_folder: Path
) -> None:
    first = register_model(ledger.database, store, model_folder, name="tiny", alias=PRODUCTION)
    assert register_model(ledger.database, store, model_folder, name="tiny", alias=PRODUCTION).id == first.id
    (model_folder / "model.safetensors").write_bytes(b"other weights")
    second = register_model(ledger.database, store, model_folder, name="tiny", alias=PRODUCTION)
    assert (first.label, second.label) == ("tiny@1", "tiny@2")
    with ledger.database.read() as session:
        assert resolve_model(session, PRODUCTION).id == first.id  # an alias is only moved on purpose
        assert resolve_model(session, "tiny").id == second.id
        assert resolve_model(session, "tiny@1").id == first.id
        for wrong in ("tiny@9", "tiny@x", "other"):
            with pytest.raises(InvalidRequest, match="production, tiny@1, tiny@2"):
                resolve_model(session, wrong)


def test_a_fetched_model_is_whole_or_refused(
    ledger: Ledger, store: Store, model_folder: Path, tmp_path: Path
) -> None:
    version = register_model(ledger.database, store, model_folder, name="tiny", alias=None)
    folder = fetch_model(store, version, tmp_path / "cache")
    assert (folder / "model.safetensors").read_bytes() == b"weights"
    (folder / "model.safetensors").write_bytes(b"torn")  # a damaged cache is fetched again
    assert (fetch_model(store, version, tmp_path / "cache") / "model.safetensors").read_bytes() == b"weights"
    store.put(version.files[1]["key"], b"torn", "application/octet-stream")
    with pytest.raises(StorageUnavailable, match="damaged"):
        fetch_model(store, version, tmp_path / "other")
    assert list((tmp_path / "other").iterdir()) == []


def test_a_folder_that_is_no_model_is_refused(ledger: Ledger, store: Store, tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match=r"config\.json, model\.safetensors is missing"):
        register_model(ledger.database, store, tmp_path, name="none", alias=None)
