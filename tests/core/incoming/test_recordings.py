"""Recordings, pictures and models in a real object store."""

from __future__ import annotations

import hashlib
import io

import pytest
from sqlalchemy import func, select

from core.config import Settings
from core.errors import NotFound, StorageUnavailable, TooLarge
from core.incoming.recordings import media_type_of, take_in
from core.ledger.tables import Recording, RecordingOwner
from core.store import Store
from tests.factories import Ledger


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
