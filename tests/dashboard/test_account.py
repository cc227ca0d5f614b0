"""Passwords, sessions, tokens and people, as somebody meets them on pages and through the API."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from core.people.accounts import Role
from core.people.passwords import TRIES
from tests.dashboard.conftest import Browser, Place, Script

GOOD = "four plain words here"
OTHER = "other words, just as long"


def signed_in(place: Place, name: str, password: str) -> tuple[Browser, int]:
    browser = Browser(place.app)
    browser.get("/sign-in")
    status = browser.post("/sign-in", name=name, password=password).status_code
    browser.get("/account")
    return browser, status


def test_a_password_set_after_a_link_signs_in_and_a_new_one_ends_older_sessions(place: Place) -> None:
    first = place.browser()
    assert first.post("/account/password", new=GOOD, again=OTHER).status_code == 400
    assert first.post("/account/password", new=GOOD, again=GOOD).status_code == 303
    assert "password is changed" in first.get("/account?changed").text
    second, status = signed_in(place, "ada", GOOD)
    assert status == 303
    wrong = second.post("/account/password", current="no", new=OTHER, again=OTHER)
    assert wrong.status_code == 400 and "wrong" in wrong.text
    assert second.post("/account/password", current=GOOD, new=OTHER, again=OTHER).status_code == 303
    assert first.get("/jobs").status_code == 303
    assert second.get("/jobs").status_code == 200
    assert signed_in(place, "ada", GOOD)[1] == 403
    third, _ = signed_in(place, "ada", OTHER)
    assert third.post("/account/sessions/end").status_code == 303
    assert second.get("/jobs").status_code == third.get("/jobs").status_code == 303


def test_too_many_wrong_passwords_lock_out_and_a_link_still_comes_in(sqlite_place: Place) -> None:
    browser = sqlite_place.browser()
    browser.post("/account/password", new=GOOD, again=GOOD)
    answers = {signed_in(sqlite_place, "ada", "wrong")[1] for _ in range(TRIES)}
    assert answers == {403}
    assert signed_in(sqlite_place, "ada", GOOD)[1] == 403
    assert "locked after wrong passwords" in sqlite_place.browser("root", Role.ADMIN).get("/people").text
    assert browser.get("/jobs").status_code == 200
    assert sqlite_place.browser().get("/jobs").status_code == 200


def test_signing_in_needs_the_token_of_the_page(sqlite_place: Place) -> None:
    answer = sqlite_place.app.test_client().post("/sign-in", data={"name": "ada", "password": GOOD})
    assert answer.status_code == 400


def token(place: Place, script: Script, scope: str, name: str = "") -> Script:
    answer = script.post("/api/v1/tokens", json={"name": name or scope, "scope": scope})
    assert answer.status_code == 201, answer.text
    return Script(place.app, answer.json["token"])


def test_a_token_may_what_its_scope_says_and_never_more_than_its_user(place: Place) -> None:
    olga = place.script("olga", Role.OPERATOR)
    reading, submitting = token(place, olga, "read"), token(place, olga, "submit")
    assert olga.post("/api/v1/tokens", json={"name": "x", "scope": "admin"}).status_code == 403
    assert submitting.post("/api/v1/tokens", json={"name": "x", "scope": "operate"}).status_code == 403
    job = olga.job(1)
    of_ada = place.script("ada").job(1)
    assert reading.get(f"/api/v1/jobs/{job}").status_code == 200
    refused = reading.post(f"/api/v1/jobs/{job}/cancel")
    assert refused.status_code == 403 and "only read" in refused.json["detail"]
    # What only asks may be sent by POST; the same route with a change in mind may not.
    asked = {"model": "default@1", "which": "all"}
    dry = reading.post(f"/api/v1/jobs/{job}/rerun", json={**asked, "dry_run": True})
    assert (dry.status_code, dry.json["items"], dry.json["job"]) == (200, 1, None)
    assert reading.post(f"/api/v1/jobs/{job}/rerun", json=asked).status_code == 403
    assert reading.post("/api/v1/erasure", json={}).json["dry_run"] is True
    sure = {"dry_run": False, "confirm": "olga"}
    assert reading.post("/api/v1/erasure", json=sure).status_code == 403
    assert reading.post("/jobs/steer").status_code == 403
    refused = submitting.post(f"/api/v1/jobs/{of_ada}/cancel")
    assert refused.status_code == 403 and "scope" in refused.json["detail"]
    assert submitting.post(f"/api/v1/jobs/{job}/cancel").status_code == 200
    assert submitting.get("/api/v1/audit").status_code == 403
    assert olga.get("/api/v1/audit").status_code == 200
    narrow = submitting.ask("PUT", "/api/v1/account/password", json={"new": GOOD})
    assert narrow.status_code == 403


def test_a_token_that_ends_makes_none_that_lasts_longer(sqlite_place: Place) -> None:
    wanted = {"name": "a week", "scope": "submit", "days": 7}
    week = Script(sqlite_place.app, sqlite_place.script().post("/api/v1/tokens", json=wanted).json["token"])
    refused = week.post("/api/v1/tokens", json={"name": "a year", "scope": "read", "days": 365})
    assert (refused.status_code, refused.json["code"]) == (403, "not_allowed")
    day = week.post("/api/v1/tokens", json={"name": "a day", "scope": "read", "days": 1}).json
    same = week.post("/api/v1/tokens", json={"name": "as long", "scope": "read"}).json
    ends = {one["name"]: one["expires_at"] for one in week.get("/api/v1/tokens").json["data"]}
    assert same["expires_at"] == ends["a week"] > day["expires_at"]
    assert "a year" not in ends


def test_a_token_says_when_it_was_used_and_ends_when_revoked(sqlite_place: Place) -> None:
    ada, bob = sqlite_place.script(), sqlite_place.script("bob")
    mine = token(sqlite_place, ada, "read", "nightly")
    row = next(one for one in ada.get("/api/v1/tokens").json["data"] if one["name"] == "nightly")
    assert row["used_at"] is None and "token" not in row
    assert mine.get("/api/v1/me").status_code == 200
    row = next(one for one in ada.get("/api/v1/tokens").json["data"] if one["name"] == "nightly")
    assert row["used_at"].endswith(":00Z")
    assert bob.ask("DELETE", f"/api/v1/tokens/{row['id']}").status_code == 404
    assert ada.ask("DELETE", f"/api/v1/tokens/{row['id']}").status_code == 200
    assert mine.get("/api/v1/me").status_code == 401


def test_a_token_made_on_the_page_is_shown_once(sqlite_place: Place) -> None:
    browser = sqlite_place.browser()
    page = browser.post("/account/tokens", name="laptop", scope="submit")
    found = re.search(r"vs_[\w-]+", page.text)
    assert found is not None
    assert Script(sqlite_place.app, found[0]).get("/api/v1/me").status_code == 200
    browser.post("/account/tokens", name="for a week", scope="read", days="7")
    assert browser.post("/account/tokens", name="for a while", scope="read", days="8").status_code == 400
    lives = {row["name"]: row["expires_at"] for row in browser.get("/api/v1/tokens").json["data"]}
    assert lives.keys() == {"laptop", "for a week"} and lives["laptop"] is None
    left = datetime.fromisoformat(lives["for a week"]) - datetime.now(UTC)
    assert timedelta(days=6) < left < timedelta(days=8)
    shown = browser.get("/account").text
    assert "laptop" in shown and "vs_" not in shown
    assert browser.post("/account/tokens", name="more", scope="operate").status_code == 400


def test_admins_add_change_and_disable_people_and_all_of_it_is_noted(place: Place) -> None:
    root = place.script("root", Role.ADMIN)
    made = root.post("/api/v1/users", json={"name": "carl", "role": "viewer"})
    assert made.status_code == 201
    carl = made.json["id"]
    browser = Browser(place.app)
    link = "/sign-in/" + made.json["link"].rsplit("/", 1)[-1]
    browser.get(link)
    assert browser.post(link).status_code == 303
    assert browser.get("/jobs").status_code == 200
    path = f"/api/v1/users/{carl}"
    assert root.ask("PATCH", path, json={"role": "operator"}).json["role"] == "operator"
    assert root.ask("PATCH", path, json={"disabled": True}).json["disabled_at"] is not None
    assert browser.get("/jobs").status_code == 303
    assert root.post(f"{path}/link").status_code == 409
    root.ask("PATCH", path, json={"disabled": False})
    assert browser.get("/jobs").status_code == 303  # an old cookie does not come back to life
    actions = [
        row["action"] for row in root.get("/api/v1/audit", query_string={"subject": carl}).json["data"]
    ]
    assert actions == ["user.enable", "user.disable", "user.role", "user.create"]
    page = place.browser("root").get("/audit")
    assert "user.disable" in page.text and "carl" in page.text


def test_the_last_admin_stays(place: Place) -> None:
    root = place.script("root", Role.ADMIN)
    me = root.get("/api/v1/me").json["id"]
    for change in ({"role": "viewer"}, {"disabled": True}):
        answer = root.ask("PATCH", f"/api/v1/users/{me}", json=change)
        assert answer.status_code == 409 and "last admin" in answer.json["detail"]
    place.script("rita", Role.ADMIN)
    assert root.ask("PATCH", f"/api/v1/users/{me}", json={"role": "viewer"}).status_code == 200


def test_the_people_page_is_for_admins_and_does_what_the_api_does(sqlite_place: Place) -> None:
    for role in (Role.VIEWER, Role.SUBMITTER, Role.OPERATOR):
        other = sqlite_place.browser(role.value, role)
        assert other.get("/people").status_code == 403
        assert other.post("/people", name="x", role="admin").status_code == 403
    root = sqlite_place.browser("root", Role.ADMIN)
    page = root.post("/people", name="dora", role="submitter")
    assert "/sign-in/" in page.text and "dora" in page.text
    assert root.post("/people", name="dora", role="submitter").status_code == 400
    me = sqlite_place.users["root"].id
    assert root.post(f"/people/{me}/disable").status_code == 409
    assert root.post(f"/people/{me}/role", role="king").status_code == 400
