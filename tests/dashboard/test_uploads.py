"""Files in parts, and archives of many, as clients send them."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import os
import stat
import zipfile
from datetime import timedelta

import pytest
import requests

from core.incoming import archives
from core.incoming.uploads import PART_BYTES, sweep
from core.ledger.database import now
from core.ledger.upload_tables import Upload
from dashboard.services import Services
from tests.conftest import settings_for
from tests.dashboard.conftest import SOUND, Place, Script, make_place
from tests.ledgers import make_ledger
from tests.servers import ObjectStore

LARGE = b"fLaC" + os.urandom(PART_BYTES + 100)


def begin(script: Script, content: bytes = LARGE, mark: str = "a.flac|1") -> dict[str, object]:
    body = {"name": "a.flac", "size_bytes": len(content), "fingerprint": mark}
    answer = script.post("/api/v1/uploads", json=body)
    assert answer.status_code == 201, answer.text
    return dict(answer.json)


def services_of(place: Place) -> Services:
    found: Services = place.app.extensions["voicesketch"]
    return found


def packed(*files: tuple[str | zipfile.ZipInfo, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files:
            archive.writestr(name, content)
    return out.getvalue()


def test_a_file_in_parts_goes_on_after_a_break_and_is_the_recording_it_was(place: Place) -> None:
    ada = place.script()
    path = f"/api/v1/uploads/{begin(ada)['id']}"
    assert ada.ask("PUT", f"{path}/parts/2", data=LARGE[PART_BYTES:]).status_code == 200
    assert ada.post(f"{path}/complete").status_code == 409
    again = begin(ada)
    assert (path, again["parts"], again["sent"]) == (f"/api/v1/uploads/{again['id']}", 2, [2])
    assert ada.ask("PUT", f"{path}/parts/1", data=LARGE[:PART_BYTES]).status_code == 200
    done = ada.post(f"{path}/complete")
    assert done.json["recording"] == hashlib.sha256(LARGE).hexdigest(), done.text
    assert ada.post(f"{path}/complete").json == done.json
    assert list(place.store.keys("uploads/")) == []
    assert ada.submit([{"key": "a", "recording": done.json["recording"]}]).status_code == 201


def test_parts_of_a_wrong_length_or_number_are_refused(sqlite_place: Place) -> None:
    ada = sqlite_place.script()
    path = f"/api/v1/uploads/{begin(ada)['id']}"
    for number, content in ((1, b"short"), (2, LARGE[PART_BYTES:] + b"x"), (3, b"x")):
        assert ada.ask("PUT", f"{path}/parts/{number}", data=content).status_code == 400, number
    assert ada.get(path).json["sent"] == []


def test_half_a_file_is_nobody_elses_business_and_goes_when_it_is_abandoned(sqlite_place: Place) -> None:
    ada, bob = sqlite_place.script("ada"), sqlite_place.script("bob")
    path = f"/api/v1/uploads/{begin(ada)['id']}"
    assert bob.get(path).status_code == bob.ask("DELETE", path).status_code == 404
    assert begin(bob)["id"] != path.rsplit("/", 1)[-1]
    assert ada.ask("DELETE", path).status_code == 200
    assert ada.get(path).status_code == 404


def test_what_is_not_whole_in_time_is_swept_and_the_rest_stays(sqlite_place: Place) -> None:
    ada = sqlite_place.script()
    old, young = begin(ada, mark="old")["id"], begin(ada, mark="young")["id"]
    with sqlite_place.database.write() as session:
        session.get_one(Upload, old).expires_at = now(session) - timedelta(seconds=1)
    assert sweep(sqlite_place.database, sqlite_place.store) == 1
    assert sweep(sqlite_place.database, sqlite_place.store) == 0
    assert ada.get(f"/api/v1/uploads/{old}").status_code == 404
    assert ada.get(f"/api/v1/uploads/{young}").status_code == 200


def test_each_file_of_an_archive_becomes_a_line_and_bad_ones_say_why(place: Place) -> None:
    ada = place.script()
    link = zipfile.ZipInfo("link.wav")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    body = packed(
        ("talks/one.flac", SOUND),
        ("talks/two é.flac", SOUND + b"2"),
        ("../../etc/out.flac", SOUND),
        ("/abs.flac", SOUND),
        (link, b"/etc/passwd"),
        ("inner.zip", packed(("a.flac", SOUND))),
        ("__MACOSX/._one.flac", b"x"),
        ("README", b"x"),
    )
    answer = ada.post("/api/v1/archives", data=body)
    assert answer.status_code == 201, answer.text
    lines = {item["key"]: item["error_code"] for item in answer.json["items"]}
    assert lines == {
        "talks/one.flac": None,
        "talks/two é.flac": None,
        "../../etc/out.flac": "bad_name",
        "/abs.flac": "bad_name",
        "link.wav": "bad_name",
        "inner.zip": "nested_archive",
    }
    assert (answer.json["failed"], answer.json["left_out"]) == (4, 2)
    job = ada.submit(answer.json["items"])
    assert job.status_code == 201, job.text
    assert (job.json["request_counts"]["failed"], job.json["request_counts"]["pending"]) == (4, 2)


def test_a_locked_or_damaged_file_in_an_archive_fails_alone(sqlite_place: Place) -> None:
    ada = sqlite_place.script()
    body = bytearray(packed(("good.flac", SOUND), ("locked.flac", SOUND), ("torn.flac", os.urandom(500))))
    for sign, flag in ((b"PK\x01\x02", 8), (b"PK\x03\x04", 6)):
        at = body.find(b"locked.flac", body.find(sign) if sign == b"PK\x03\x04" else body.find(b"PK\x01\x02"))
        head = body.rfind(sign, 0, at)
        body[head + flag] |= 1
    torn = body.find(b"torn.flac")
    body[torn + 100] ^= 0xFF
    answer = ada.post("/api/v1/archives", data=bytes(body))
    lines = {item["key"]: item["error_code"] for item in answer.json["items"]}
    assert lines == {"good.flac": None, "locked.flac": "encrypted", "torn.flac": "unreadable_file"}


def test_an_archive_in_parts_is_taken_apart_once_it_is_whole_and_may_be_larger_than_a_recording(
    place: Place,
) -> None:
    ada = place.script()
    body = packed(("one.flac", SOUND), ("two.bin", os.urandom(PART_BYTES)))
    place.app.extensions["voicesketch"] = dataclasses.replace(
        services_of(place), settings=place.settings.model_copy(update={"max_upload_bytes": PART_BYTES})
    )
    wanted = {"name": "all.zip", "size_bytes": len(body), "fingerprint": "all.zip|1"}
    assert ada.post("/api/v1/uploads", json=wanted).status_code == 413
    begun = ada.post("/api/v1/uploads", json={**wanted, "archive": True})
    path = f"/api/v1/uploads/{begun.json['id']}"
    assert ada.ask("PUT", f"{path}/parts/1", data=body[:PART_BYTES]).status_code == 200
    assert ada.post(f"{path}/unpack").status_code == 409
    assert ada.ask("PUT", f"{path}/parts/2", data=body[PART_BYTES:]).status_code == 200
    first = ada.post(f"{path}/unpack")
    assert [item["key"] for item in first.json["items"]] == ["one.flac", "two.bin"], first.text
    assert ada.post(f"{path}/unpack").json == first.json
    assert ada.submit(first.json["items"]).status_code == 201
    assert ada.ask("DELETE", path).status_code == 200
    assert list(place.store.keys("uploads/")) == []


def test_parts_go_straight_into_the_store_where_it_can_be_reached(
    sqlite_database_url: str, object_store: ObjectStore
) -> None:
    settings = settings_for(sqlite_database_url, "redis://127.0.0.1:1", object_store)
    make_ledger(settings.database_url)
    place = make_place(settings.model_copy(update={"s3_public_url": object_store.endpoint_url}))
    ada, bob = place.script("ada"), place.script("bob")
    begun = begin(ada)
    path = f"/api/v1/uploads/{begun['id']}"
    assert begun["direct"] is True
    assert bob.post(f"{path}/links", json={"parts": [1]}).status_code == 404
    assert ada.post(f"{path}/links", json={"parts": [3]}).status_code == 400
    given = ada.post(f"{path}/links", json={"parts": [1, 2]}).json
    assert given["seconds"] <= 900
    contents = {1: LARGE[:PART_BYTES], 2: LARGE[PART_BYTES:]}
    # What is not as long as the part does not count, whoever put it there.
    assert requests.put(given["links"][1]["url"], data=b"short", timeout=10).status_code == 200
    for link in given["links"]:
        if link["number"] == 1:
            assert requests.put(link["url"], data=contents[1], timeout=10).status_code == 200
    assert ada.post(f"{path}/complete").status_code == 409
    assert ada.get(path).json["sent"] == [1]
    assert requests.put(given["links"][1]["url"], data=contents[2], timeout=10).status_code == 200
    done = ada.post(f"{path}/complete")
    assert done.json["recording"] == hashlib.sha256(LARGE).hexdigest()
    assert ada.post(f"{path}/links", json={"parts": [1]}).status_code == 409
    place.database.dispose()


def test_where_browsers_cannot_reach_the_store_there_are_no_links(sqlite_place: Place) -> None:
    ada = sqlite_place.script()
    begun = begin(ada)
    assert begun["direct"] is False
    assert ada.post(f"/api/v1/uploads/{begun['id']}/links", json={"parts": [1]}).status_code == 409


def test_bombs_and_what_is_no_archive_are_refused_whole(
    sqlite_place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = sqlite_place.script()
    monkeypatch.setattr(archives, "_HARMLESS_BYTES", 2**20)
    bomb = packed(("bomb.wav", bytes(8 * 2**20)))
    for body in (bomb, b"no archive", b"", packed(), packed(("notes.txt", b"x"))):
        answer = ada.post("/api/v1/archives", data=body)
        assert answer.status_code == 400, answer.text
    assert list(sqlite_place.store.keys("recordings/")) == []
