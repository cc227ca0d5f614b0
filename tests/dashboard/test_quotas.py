"""Limits as people and scripts meet them: before something is sent, when it is refused, and where admins give them."""

from __future__ import annotations

from datetime import datetime

import pytest

from core.client.refusals import refusal
from core.errors import QuotaExceeded
from core.people.accounts import Role
from core.people.quotas import enforce
from tests.dashboard.conftest import SOUND, Place


def test_a_limit_refuses_with_its_numbers_and_is_told_before_anything_is_sent(place: Place) -> None:
    ada, root = place.script(), place.script("root", Role.ADMIN)
    user = place.users["ada"].id
    answer = root.ask("PUT", f"/api/v1/users/{user}/quota", json={"items_a_day": 4, "jobs_at_once": None})
    assert [one for one in answer.json["data"] if one["own"]] == [
        {"limit": "items_a_day", "most": 4, "used": 0, "own": True},
        {"limit": "jobs_at_once", "most": None, "used": None, "own": True},
    ]
    job = ada.job(3)
    told = ada.get("/api/v1/estimate?items=2").json["refused"]
    assert told.startswith("3 recordings were in your jobs of the last 24 hours, and 4 are the most for you")
    assert ada.get("/api/v1/estimate?items=1").json["refused"] is None
    items = [{"key": f"k{n}", "recording": ada.send(SOUND + bytes([n]))} for n in range(2)]
    refused = ada.submit(items)
    assert refused.status_code == 403
    assert (refused.json["code"], refused.json["detail"]) == ("quota_exceeded", told)
    quota = refused.json["quota"]
    assert datetime.fromisoformat(quota.pop("frees_at")).tzinfo is not None
    assert quota == {"limit": "items_a_day", "most": 4, "used": 3, "wanted": 2}
    dry = {"model": "default", "which": "all", "dry_run": True}
    assert "more fit" in ada.post(f"/api/v1/jobs/{job}/rerun", json=dry).json["refused"]
    assert ada.post(f"/api/v1/jobs/{job}/rerun", json={**dry, "dry_run": False}).status_code == 403
    assert ada.submit(items[:1]).status_code == 201
    mine = {one["limit"]: one for one in ada.get("/api/v1/me/quota").json["data"]}
    assert mine["items_a_day"]["used"] == mine["items_a_day"]["most"] == 4
    assert mine["items_at_once"] == {"limit": "items_at_once", "most": None, "used": None, "own": False}
    entry = root.get("/api/v1/audit").json["data"][0]
    assert entry["action"] == "user.quota"
    assert entry["details"]["after"] == {"items_a_day": 4, "jobs_at_once": None}


def test_the_same_key_again_brings_the_job_back_though_there_is_no_room_left(place: Place) -> None:
    ada, root = place.script(), place.script("root", Role.ADMIN)
    root.ask("PUT", f"/api/v1/users/{place.users['ada'].id}/quota", json={"jobs_at_once": 1})
    items = [{"key": "k", "recording": ada.send(SOUND)}]
    once = {"Idempotency-Key": "once"}
    first = ada.submit(items, headers=once)
    assert ada.submit(items, headers=once).json["id"] == first.json["id"]
    assert ada.submit(items).json["quota"]["limit"] == "jobs_at_once"


def test_a_recording_that_does_not_fit_is_refused_before_it_is_stored(sqlite_place: Place) -> None:
    ada, root = sqlite_place.script(), sqlite_place.script("root", Role.ADMIN)
    ada.send(SOUND)
    room = len(SOUND) + 3
    root.ask("PUT", f"/api/v1/users/{sqlite_place.users['ada'].id}/quota", json={"stored_bytes": room})
    stored = list(sqlite_place.store.keys())
    refused = ada.ask("PUT", "/api/v1/recordings", data=SOUND + b"more")
    assert (refused.status_code, refused.json["code"]) == (403, "quota_exceeded")
    assert refused.json["quota"]["used"] == len(SOUND)
    begun = {"name": "b", "size_bytes": 4, "fingerprint": "b"}
    assert ada.post("/api/v1/uploads", json=begun).json["code"] == "quota_exceeded"
    assert ada.get("/api/v1/estimate?items=1&bytes=4").json["refused"] is not None
    assert list(sqlite_place.store.keys()) == stored
    assert ada.ask("PUT", "/api/v1/recordings", data=SOUND).status_code == 201


@pytest.mark.parametrize("body", [{"items": 3}, {"items_a_day": -1}, {"stored_bytes": "much"}])
def test_limits_that_are_none_are_refused(sqlite_place: Place, body: dict[str, object]) -> None:
    root = sqlite_place.script("root", Role.ADMIN)
    answer = root.ask("PUT", f"/api/v1/users/{sqlite_place.users['root'].id}/quota", json=body)
    assert (answer.status_code, answer.json["code"]) == (400, "invalid_request")


def test_pages_show_limits_where_they_matter_and_an_admin_changes_them(sqlite_place: Place) -> None:
    place = sqlite_place
    enforce(place.database, place.settings.model_copy(update={"quota_items_at_once": "submitter=2000"}))
    ada, root = place.browser(), place.browser("root", Role.ADMIN)
    assert "0 of 2,000" in ada.get("/account").text
    assert "0 of 2,000" in ada.get("/new").text
    limits = f"/people/{place.users['ada'].id}/limits"
    assert limits in root.get("/people").text
    assert "as the role: 2,000" in root.get(limits).text
    wrong = root.post(limits, items_a_day="a lot", stored_bytes="50 GB")
    assert wrong.status_code == 400
    assert "is no limit" in wrong.text and 'value="50 GB"' in wrong.text
    assert root.post(limits, items_at_once="none", stored_bytes="50 GB").status_code == 303
    changed = root.get(limits).text
    assert "0 B of 50 GB" in changed and 'value="none"' in changed
    assert "2,000" not in ada.get("/account").text
    assert "Your limits" not in root.get("/account").text


def test_running_again_says_on_the_page_why_it_cannot_be(sqlite_place: Place) -> None:
    place = sqlite_place
    browser, script = place.browser(), place.script()
    job = script.job(3)
    root = place.script("root", Role.ADMIN)
    root.ask("PUT", f"/api/v1/users/{place.users['ada'].id}/quota", json={"items_at_once": 3})
    fields = {"csrf_token": browser.csrf, "model": "default@1", "of": "all"}
    for more in ({"dry": "yes"}, {}):
        answer = browser.client.post(
            f"/jobs/{job}/rerun", data={**fields, **more}, headers={"HX-Request": "true"}
        )
        assert answer.status_code == 200
        assert "wait or are at work" in answer.text


def test_scripts_meet_the_very_error_with_its_numbers(sqlite_place: Place) -> None:
    ada, root = sqlite_place.script(), sqlite_place.script("root", Role.ADMIN)
    root.ask("PUT", f"/api/v1/users/{sqlite_place.users['ada'].id}/quota", json={"items_a_day": 0})
    answer = ada.submit([{"key": "k", "recording": ada.send(SOUND)}])

    class Answered:
        status_code, reason = answer.status_code, "Forbidden"

        def json(self) -> object:
            return answer.json

    error = refusal(Answered(), "http://127.0.0.1")  # type: ignore[arg-type]
    assert isinstance(error, QuotaExceeded)
    assert (error.limit, error.most, error.used, error.wanted, error.frees_at) == (
        "items_a_day",
        0,
        0,
        1,
        None,
    )
    assert error.message == answer.json["detail"]
