"""Making jobs: labels, notes of their end, and recordings of an earlier job."""

from __future__ import annotations

from core.ledger.schedule_tables import JobWebhook
from core.ledger.tables import Job
from core.people.accounts import Role
from tests.dashboard.conftest import Place


def test_labels_and_the_secret_of_a_note_are_kept_and_the_secret_is_told_once(place: Place) -> None:
    ada = place.script()
    body = {
        "items": [{"key": "a", "recording": ada.send()}],
        "labels": {" project ": "radio", "batch": "7"},
        "webhook_url": "https://93.184.215.14/told",
    }
    first = ada.post("/api/v1/jobs", json=body, headers={"Idempotency-Key": "once"})
    assert first.status_code == 201, first.text
    again = ada.post("/api/v1/jobs", json=body, headers={"Idempotency-Key": "once"})
    assert again.json["id"] == first.json["id"]
    assert again.json["webhook_secret"] is None
    with place.database.read() as session:
        job = session.get(Job, first.json["id"])
        hook = session.get(JobWebhook, first.json["id"])
        assert job is not None
        assert hook is not None
        assert job.labels == {"batch": "7", "project": "radio"}
        assert hook.secret == first.json["webhook_secret"]
        assert hook.url == body["webhook_url"]


def test_labels_that_are_too_many_or_too_long_are_refused_in_a_sentence(sqlite_place: Place) -> None:
    ada = sqlite_place.script()
    items = [{"key": "a", "recording": ada.send()}]
    for labels in (
        {str(n): "x" for n in range(17)},
        {"": "x"},
        {"a=b": "x"},
        {"a": "x" * 501},
        {"n" * 65: ""},
    ):
        answer = ada.submit(items, labels=labels)
        assert answer.status_code == 400, labels
        assert "label" in answer.json["detail"]


def test_a_note_to_a_private_address_is_refused_and_no_job_is_made(sqlite_place: Place) -> None:
    ada = sqlite_place.script()
    answer = ada.submit([{"key": "a", "recording": ada.send()}], webhook_url="http://127.0.0.1/x")
    assert answer.status_code == 400
    assert ada.get("/api/v1/jobs").json["data"] == []


def test_the_end_of_a_preparation_is_told_to_who_asked_for_it(sqlite_place: Place) -> None:
    ada = sqlite_place.script()
    wish = {
        "name": "folk",
        "recipe": {"face": None},
        "files": [{"path": "p/voice.flac", "recording": ada.send()}],
        "webhook_url": "https://93.184.215.14/told",
    }
    refused = ada.post("/api/v1/datasets", json={**wish, "webhook_url": "http://127.0.0.1/x"})
    assert refused.status_code == 400
    once = {"Idempotency-Key": "once"}
    made = ada.post("/api/v1/datasets", json=wish, headers=once).json
    assert ada.post("/api/v1/datasets", json=wish, headers=once).json["webhook_secret"] is None
    with sqlite_place.database.read() as session:
        assert session.get_one(JobWebhook, made["id"]).secret == made["webhook_secret"]
    page = sqlite_place.browser("ada").get(f"/jobs/{made['id']}").text
    assert "A signed note goes to 93.184.215.14." in page


def test_a_job_takes_over_the_recordings_of_an_earlier_one_with_their_keys(place: Place) -> None:
    ada = place.script()
    earlier = ada.job(3)
    made = ada.post("/api/v1/jobs", json={"source": {"job": earlier, "which": "all"}})
    assert made.status_code == 201, made.text
    lines = [
        [
            (one["key"], one["name"], one["recording"])
            for one in ada.get(f"/api/v1/jobs/{job}/items").json["data"]
        ]
        for job in (earlier, made.json["id"])
    ]
    assert lines[0] == lines[1]
    with place.database.read() as session:
        job = session.get(Job, made.json["id"])
        assert job is not None
        assert job.rerun_of == earlier
    for which in ("failed", "faces"):
        answer = ada.post("/api/v1/jobs", json={"source": {"job": earlier, "which": which}})
        assert answer.status_code == 400
        assert "nothing to take over" in answer.json["detail"]


def test_the_recordings_of_somebody_elses_job_are_for_those_who_may_see_it(sqlite_place: Place) -> None:
    earlier = sqlite_place.script("ada").job(2)
    source = {"source": {"job": earlier}}
    assert sqlite_place.script("bob").post("/api/v1/jobs", json=source).status_code == 404
    made = sqlite_place.script("olga", Role.OPERATOR).post("/api/v1/jobs", json=source)
    assert made.status_code == 201, made.text
    assert made.json["request_counts"]["total"] == 2


def test_a_job_is_made_of_items_or_of_a_source_and_not_of_both(sqlite_place: Place) -> None:
    ada = sqlite_place.script()
    earlier = ada.job(1)
    both = {"source": {"job": earlier}, "items": [{"key": "a", "recording": ada.send()}]}
    assert ada.post("/api/v1/jobs", json=both).status_code == 400
    assert ada.post("/api/v1/jobs", json={}).status_code == 400
