"""Recordings that lie in another bucket of the store already."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import pytest

from core.errors import InvalidSettings
from core.incoming import s3_sources
from core.incoming.s3_sources import Place as S3Place
from core.incoming.s3_sources import find_place, open_places
from core.people.accounts import Role
from dashboard.app import create_app
from tests.conftest import settings_for
from tests.dashboard.conftest import SOUND, Place, Script, make_place
from tests.ledgers import make_ledger
from tests.servers import ObjectStore


@pytest.fixture
def bucket(object_store: ObjectStore) -> str:
    return object_store.of_new_bucket().bucket


@pytest.fixture
def s3_place(sqlite_database_url: str, object_store: ObjectStore, bucket: str) -> Iterator[Place]:
    """A place whose jobs may read from one folder of another bucket."""
    settings = settings_for(sqlite_database_url, "redis://127.0.0.1:1", object_store)
    make_ledger(settings.database_url)
    place = make_place(settings.model_copy(update={"s3_sources": f"s3://{bucket}/voices/"}))
    place.store.of_bucket(bucket).ensure_bucket()
    yield place
    place.database.dispose()


def take_all(script: Script, url: str) -> list[dict[str, object]]:
    items: list[dict[str, object]] = []
    after = None
    while True:
        answer = script.post("/api/v1/sources/s3", json={"url": url, "after": after})
        assert answer.status_code == 200, answer.text
        items += answer.json["items"]
        after = answer.json["next"]
        if after is None:
            return items


def test_what_lies_at_an_address_is_counted_taken_in_by_pieces_and_made_a_job(
    s3_place: Place, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = s3_place.store.of_bucket(bucket)
    for number in range(7):
        store.put(f"voices/day {number % 2}/{number}.flac", SOUND + bytes([number]), "audio/flac")
    for aside in ("voices/notes.txt", "voices/.hidden/a.flac", "voices/cover.jpg", "voices-of-others/x.flac"):
        store.put(aside, b"aside", "text/plain")
    ada = s3_place.script()
    url = f"s3://{bucket}/voices"
    found = ada.post("/api/v1/sources/s3/check", json={"url": url}).json
    size = 7 * (len(SOUND) + 1)
    assert found == {
        "url": f"{url}/",
        "recordings": 7,
        "left_out": 3,
        "size_bytes": size,
        "more": False,
    }
    monkeypatch.setattr(s3_sources, "TAKEN_AT_ONCE", 3)
    items = take_all(ada, url)
    assert [item["key"] for item in items] == [
        *(f"day 0/{n}.flac" for n in (0, 2, 4, 6)),
        *(f"day 1/{n}.flac" for n in (1, 3, 5)),
    ]
    assert take_all(ada, url) == items
    # What is below a part of a name is called by what follows the last stroke.
    assert [item["key"] for item in take_all(ada, f"{url}/day 1")] == [f"day 1/{n}.flac" for n in (1, 3, 5)]
    assert [item["key"] for item in take_all(ada, f"{url}/day 1/3.flac")] == ["3.flac"]
    assert ada.submit(items).json["request_counts"]["pending"] == 7
    pictures = ada.post("/api/v1/sources/s3/check", json={"url": url, "wanted": "face"}).json
    assert (pictures["recordings"], pictures["left_out"]) == (1, 9)


def test_what_is_too_large_is_a_line_with_its_reason(s3_place: Place, bucket: str) -> None:
    s3_place.store.of_bucket(bucket).put("voices/large.flac", SOUND * 2, "audio/flac")
    here = s3_place.app.extensions["voicesketch"]
    small = s3_place.settings.model_copy(update={"max_upload_bytes": len(SOUND)})
    s3_place.app.extensions["voicesketch"] = dataclasses.replace(here, settings=small)
    (item,) = take_all(s3_place.script(), f"s3://{bucket}/voices/")
    assert (item["key"], item["error_code"], item["recording"]) == ("large.flac", "too_large", None)


@pytest.mark.parametrize(
    ("url", "status"),
    [
        ("s3://{bucket}/", 403),
        ("s3://{bucket}/voices-of-others/", 403),
        ("s3://{bucket}/voice", 403),
        ("s3://{own}/recordings/", 403),
        ("s3://another-bucket/voices/", 403),
        ("http://{bucket}/voices/", 400),
        ("s3://UPPER/voices", 400),
        ("s3://", 400),
        ("{bucket}", 400),
    ],
)
def test_nothing_else_can_be_read(s3_place: Place, bucket: str, url: str, status: int) -> None:
    ada = s3_place.script()
    given = url.format(bucket=bucket, own=s3_place.settings.s3_bucket)
    for route in ("/api/v1/sources/s3/check", "/api/v1/sources/s3"):
        answer = ada.post(route, json={"url": given})
        assert answer.status_code == status, answer.text


def test_who_only_looks_takes_nothing_in(s3_place: Place, bucket: str) -> None:
    eve = s3_place.script("eve", Role.VIEWER)
    for route in ("/api/v1/sources/s3/check", "/api/v1/sources/s3"):
        assert eve.post(route, json={"url": f"s3://{bucket}/voices/"}).status_code == 403


def test_where_no_bucket_is_open_the_answer_says_who_opens_one(sqlite_place: Place) -> None:
    answer = sqlite_place.script().post("/api/v1/sources/s3/check", json={"url": "s3://bucket/voices"})
    assert answer.status_code == 403
    assert "VOICESKETCH_S3_SOURCES" in answer.json["detail"]
    assert "From S3" not in sqlite_place.browser().get("/new").text


def test_a_bucket_that_is_open_and_not_there_is_a_sentence(s3_place: Place, bucket: str) -> None:
    settings = s3_place.settings.model_copy(update={"s3_sources": "s3://nowhere-at-all"})
    here = s3_place.app.extensions["voicesketch"]
    s3_place.app.extensions["voicesketch"] = dataclasses.replace(here, settings=settings)
    answer = s3_place.script().post("/api/v1/sources/s3/check", json={"url": "s3://nowhere-at-all/"})
    assert answer.status_code == 400
    assert "There is no bucket 'nowhere-at-all'" in answer.json["detail"]


def test_our_own_bucket_and_nonsense_cannot_be_opened(s3_place: Place) -> None:
    for wrong in (f"s3://{s3_place.settings.s3_bucket}/incoming", "bucket/folder", "s3://b"):
        settings = s3_place.settings.model_copy(update={"s3_sources": f"s3://fine/x,{wrong}"})
        with pytest.raises(InvalidSettings, match="VOICESKETCH_S3_SOURCES"):
            create_app(settings)
    places = open_places(s3_place.settings.model_copy(update={"s3_sources": " s3://one , s3://two/a/b/,"}))
    assert places == [S3Place("one", ""), S3Place("two", "a/b/")]
    assert find_place("s3://two/a/b", places) == S3Place("two", "a/b/")
    assert find_place("s3://one", places) == S3Place("one", "")
