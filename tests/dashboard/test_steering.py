"""The same change of many jobs at once, from the list and for scripts."""

from __future__ import annotations

from core.people.accounts import Role
from tests.dashboard.conftest import Place


def test_each_job_is_changed_or_told_why_not(place: Place) -> None:
    ada, bob = place.script(), place.script("bob")
    ops, eve = place.script("ops", Role.OPERATOR), place.script("eve", Role.VIEWER)
    first, second, done = ada.job(2), ada.job(3), ada.job(1)
    theirs = bob.job(1)
    ada.post("/api/v1/jobs/steer", json={"jobs": [first, second], "action": "pause"})
    place.worker().run()
    assert [ada.get(f"/api/v1/jobs/{one}").json["state"] for one in (first, second, done)] == [
        "paused",
        "paused",
        "completed",
    ]
    told = ada.post(
        "/api/v1/jobs/steer", json={"jobs": [first, done, theirs, first], "action": "resume"}
    ).json["data"]
    assert [(one["id"], one["job"] is not None) for one in told] == [
        (first, True),
        (done, False),
        (theirs, False),
    ]
    assert told[0]["job"]["state"] == "queued"
    assert [one["error"] and one["error"]["code"] for one in told] == [None, "conflict", "not_found"]
    assert (
        bob.post("/api/v1/jobs/steer", json={"jobs": [first, second], "action": "cancel"}).status_code == 404
    )
    assert eve.post("/api/v1/jobs/steer", json={"jobs": [first], "action": "cancel"}).status_code == 403
    assert ada.post("/api/v1/jobs/steer", json={"jobs": [done], "action": "cancel"}).status_code == 409
    cancelled = ops.post("/api/v1/jobs/steer", json={"jobs": [first, second], "action": "cancel"}).json[
        "data"
    ]
    assert {one["job"]["state"] for one in cancelled} == {"cancelled"}
    again = ada.post("/api/v1/jobs/steer", json={"jobs": [first, second], "action": "retry"}).json["data"]
    assert {one["job"]["state"] for one in again} == {"queued"}
    for wrong in (
        {"jobs": [], "action": "pause"},
        {"jobs": [first], "action": "label"},
        {"jobs": [first], "action": "x"},
    ):
        assert ada.post("/api/v1/jobs/steer", json=wrong).status_code == 400


def test_a_label_is_put_on_and_taken_off_whatever_the_state(place: Place) -> None:
    ada = place.script()
    one, other = ada.job(1, labels={"team": "radio"}), ada.job(1)
    place.worker().run()
    ada.post("/api/v1/jobs/steer", json={"jobs": [one, other], "action": "label", "label": " for = print=a "})
    assert ada.get(f"/api/v1/jobs/{one}").json["labels"] == {"for": "print=a", "team": "radio"}
    assert ada.get(f"/api/v1/jobs/{one}/timeline").json["data"][-1]["reason"] == "label for"
    moves = len(ada.get(f"/api/v1/jobs/{one}/timeline").json["data"])
    ada.post("/api/v1/jobs/steer", json={"jobs": [one], "action": "label", "label": "for=print=a"})
    assert (
        len(ada.get(f"/api/v1/jobs/{one}/timeline").json["data"]) == moves
    )  # nothing changed, nothing is told
    ada.post("/api/v1/jobs/steer", json={"jobs": [one, other], "action": "unlabel", "label": "for"})
    assert ada.get(f"/api/v1/jobs/{other}").json["labels"] == {}
    too_long = {"jobs": [one], "action": "label", "label": f"a={'x' * 550}"}
    assert ada.post("/api/v1/jobs/steer", json=too_long).status_code == 400


def test_the_list_stays_where_it_was_and_says_what_became_of_them(sqlite_place: Place) -> None:
    ada = sqlite_place.script()
    first, done = ada.job(1, name="choir one"), ada.job(1, name="choir two")
    ada.job(1, name="podcast")
    ada.post(f"/api/v1/jobs/{first}/pause")
    sqlite_place.worker().run()
    browser = sqlite_place.browser("ada")
    assert browser.get("/jobs").text.count('form="steer"') == 3
    chosen = {"job": [first, done], "action": "cancel", "query": "?q=choir", "csrf_token": browser.csrf}
    answer = browser.client.post("/jobs/steer", data=chosen)
    assert "1 job cancelled." in answer.text
    assert "1 not: This job has already ended (completed)" in answer.text
    assert "podcast" not in answer.text
    rows = browser.client.post("/jobs/steer", data={**chosen, "job": []}, headers={"HX-Request": "true"})
    assert "No job was chosen." in rows.text
    assert "<html" not in rows.text
    assert browser.client.post("/jobs/steer", data={**chosen, "action": "burn"}).status_code == 400
    viewer = sqlite_place.browser("eve", Role.VIEWER)
    assert 'form="steer"' not in viewer.get("/jobs").text
    assert viewer.post("/jobs/steer", job=first, action="cancel").status_code == 403
