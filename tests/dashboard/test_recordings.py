"""Sending recordings."""

from __future__ import annotations

import hashlib
import io

import pytest

from core.people.accounts import Role
from dashboard.app import create_app
from tests.dashboard.conftest import SOUND, Place, Script


def test_a_recording_is_known_by_its_content(place: Place) -> None:
    ada = place.script()
    answer = ada.ask("PUT", "/api/v1/recordings", data=SOUND)
    assert answer.status_code == 201
    assert answer.json == {
        "recording": hashlib.sha256(SOUND).hexdigest(),
        "size_bytes": len(SOUND),
        "media_type": "audio/flac",
    }
    assert ada.send(SOUND) == answer.json["recording"]
    assert len(list(place.store.keys("recordings/"))) == 1


def test_asking_for_a_recording_tells_only_whether_you_sent_it_yourself(place: Place) -> None:
    ada, bob = place.script("ada"), place.script("bob")
    sha256 = ada.send()
    assert ada.ask("HEAD", f"/api/v1/recordings/{sha256}").status_code == 200
    assert bob.ask("HEAD", f"/api/v1/recordings/{sha256}").status_code == 404
    bob.send()
    assert bob.ask("HEAD", f"/api/v1/recordings/{sha256}").status_code == 200


def test_an_empty_file_is_taken_and_fails_later_as_an_item(sqlite_place: Place) -> None:
    ada = sqlite_place.script()
    sha256 = ada.send(b"")
    job = ada.submit([{"key": "nothing", "recording": sha256}]).json["id"]
    sqlite_place.worker().run()
    item = ada.get(f"/api/v1/jobs/{job}/items").json["data"][0]
    assert item["state"] == "failed"
    assert item["error"]["code"] == "empty_file"


@pytest.mark.parametrize("length_is_told", [True, False])
def test_a_recording_that_is_too_large_is_refused_and_not_kept(
    sqlite_place: Place, length_is_told: bool
) -> None:
    app = create_app(sqlite_place.settings.model_copy(update={"max_upload_bytes": 1000}))
    ada = Script(app, sqlite_place.script().token)
    extra = (
        {} if length_is_told else {"content_length": None, "environ_base": {"wsgi.input_terminated": True}}
    )
    answer = ada.ask(
        "PUT",
        "/api/v1/recordings",
        input_stream=io.BytesIO(bytes(1001)),
        **(extra or {"content_length": 1001}),
    )
    assert answer.status_code == 413
    assert answer.mimetype == "application/problem+json"
    assert answer.json["code"] == "too_large"
    assert not list(sqlite_place.store.keys("recordings/"))
    assert ada.ask("PUT", "/api/v1/recordings", data=bytes(1000)).status_code == 201


def test_a_viewer_cannot_send_anything(sqlite_place: Place) -> None:
    answer = sqlite_place.script("vera", Role.VIEWER).ask("PUT", "/api/v1/recordings", data=SOUND)
    assert answer.status_code == 403
    assert answer.json["code"] == "not_allowed"
