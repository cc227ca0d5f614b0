"""Stars and notes on faces, and lists narrowed to some of a job's items."""

from __future__ import annotations

import json

from core.people.accounts import Role
from dashboard.api.mark_news import MarkNews
from tests.dashboard.conftest import Place


def test_a_star_and_a_note_are_kept_and_change_one_without_the_other(place: Place) -> None:
    ada = place.script()
    job_id = ada.job(2)
    place.worker().run()
    items = f"/api/v1/jobs/{job_id}/items"
    first, second = ada.get(items).json["data"]
    path = f"{items}/{first['id']}/mark"
    assert first["mark"] is None
    assert ada.ask("PUT", path, json={"favourite": True}).json["note"] == ""
    assert ada.ask("PUT", path, json={"note": " the tall one "}).json["note"] == "the tall one"
    marked = ada.get(f"{items}/{first['id']}").json["mark"]
    assert (marked["favourite"], marked["note"], marked["by"]) == (
        True,
        "the tall one",
        place.users["ada"].id,
    )
    assert [item["id"] for item in ada.get(f"{items}?favourites=true").json["data"]] == [first["id"]]
    ada.ask("PUT", path, json={"favourite": False})
    assert ada.get(f"{items}?favourites=true").json["data"] == []
    assert ada.get(f"{items}/{first['id']}").json["mark"]["note"] == "the tall one"
    assert ada.ask("PUT", path, json={"note": "n" * 2001}).status_code == 400
    assert ada.ask("PUT", path, json={"star": True}).status_code == 400
    assert ada.get(f"{items}/{second['id']}").json["mark"] is None


def test_only_those_who_may_change_a_job_mark_its_faces(sqlite_place: Place) -> None:
    place = sqlite_place
    ada = place.script()
    job_id, other = ada.job(1), ada.job(1)
    item = ada.get(f"/api/v1/jobs/{job_id}/items").json["data"][0]["id"]
    path = f"/api/v1/jobs/{job_id}/items/{item}/mark"
    for name, role, status in (
        ("grace", Role.SUBMITTER, 404),
        ("vera", Role.VIEWER, 403),
        ("otto", Role.OPERATOR, 200),
    ):
        assert place.script(name, role).ask("PUT", path, json={"favourite": True}).status_code == status
    elsewhere = f"/api/v1/jobs/{other}/items/{item}/mark"
    assert ada.ask("PUT", elsewhere, json={"favourite": True}).status_code == 404


def test_any_block_of_a_narrowed_list_is_read_from_its_anchor(place: Place) -> None:
    ada = place.script()
    job_id = ada.job(47)
    worker = place.worker(refuse=lambda item: ("no_speech", "Nothing is said.") if item.id % 3 == 0 else None)
    worker.run()
    items = f"/api/v1/jobs/{job_id}/items"
    for narrowing in ("", "state=done", "state=done,failed", "error_code=no_speech", "error_code=other"):
        whole = [item["id"] for item in ada.get(f"{items}?{narrowing}").json["data"]]
        found = ada.get(f"{items}/anchors?every=10&{narrowing}").json
        read = [
            [item["id"] for item in ada.get(f"{items}?{narrowing}&limit=10&after={after}").json["data"]]
            for after in found["after"]
        ]
        assert found["count"] == len(whole)
        assert read == [whole[start : start + 10] for start in range(0, len(whole), 10)]
    unnamed = ada.get(f"{items}?face_names=false").json["data"]
    assert {item["face_name"] for item in unnamed} == {None}


def test_many_faces_get_a_star_at_once_or_none_does(place: Place) -> None:
    ada = place.script()
    job_id, other = ada.job(4), ada.job(1)
    items, path = f"/api/v1/jobs/{job_id}/items", f"/api/v1/jobs/{job_id}/marks"
    ids = ada.get(f"{items}/ids").json["data"]
    assert ids == [item["id"] for item in ada.get(items).json["data"]]
    ada.ask("PUT", f"{items}/{ids[1]}/mark", json={"note": "the calm one"})
    assert ada.get(f"{items}/ids?noted=true").json["data"] == [ids[1]]
    assert ada.ask("PUT", path, json={"items": [*ids[:3], ids[0]], "favourite": True}).json == {"marked": 3}
    assert ada.get(f"{items}/ids?favourites=true").json["data"] == ids[:3]
    assert ada.get(f"{items}/{ids[1]}").json["mark"]["note"] == "the calm one"
    assert ada.ask("PUT", path, json={"items": ids[1:], "favourite": False}).json == {"marked": 3}
    assert [item["id"] for item in ada.get(f"{items}?favourites=true").json["data"]] == [ids[0]]
    assert ada.get(f"{items}/ids?noted=true&favourites=true").json["data"] == []
    assert ada.get(f"{items}/ids?noted=true").json["data"] == [ids[1]]

    elsewhere = ada.get(f"/api/v1/jobs/{other}/items/ids").json["data"]
    refused = ada.ask("PUT", path, json={"items": ids + elsewhere, "favourite": True})
    assert refused.status_code == 404
    assert ada.get(f"{items}/ids?favourites=true").json["data"] == [ids[0]]
    viewer = place.script("vera", Role.VIEWER)
    assert viewer.ask("PUT", path, json={"items": ids, "favourite": True}).status_code == 403


def test_streams_tell_of_marks_those_who_may_see_the_job(sqlite_place: Place) -> None:
    place = sqlite_place
    ada = place.script()
    job_id = ada.job(3)
    items = f"/api/v1/jobs/{job_id}/items"
    ids = ada.get(f"{items}/ids").json["data"]
    news = [
        MarkNews(place.database, place.user(name, role), job)
        for name, role, job in (
            ("ada", Role.SUBMITTER, job_id),
            ("vera", Role.VIEWER, None),
            ("grace", Role.SUBMITTER, None),
            ("ada", Role.SUBMITTER, "another job"),
        )
    ]
    assert [one.read() for one in news] == ["", "", "", ""]
    ada.ask("PUT", f"{items}/{ids[1]}/mark", json={"favourite": True, "note": "calm"})
    told, seen, *others = [one.read() for one in news]
    assert told == seen
    assert others == ["", ""]
    event, data = told.splitlines()[:2]
    assert event == "event: marks"
    body = json.loads(data.removeprefix("data: "))
    [mark] = body["data"]
    assert (mark["job"], mark["item"], mark["mark"]["note"]) == (job_id, ids[1], "calm")
    assert body["more"] is False
    # Once is enough, though the next reading looks at the same moment again.
    assert news[0].read() == ""
    ada.ask("PUT", f"/api/v1/jobs/{job_id}/marks", json={"items": ids, "favourite": True})
    assert {one["item"] for one in json.loads(news[0].read().splitlines()[1][6:])["data"]} == {ids[0], ids[2]}
