"""Making, watching and steering jobs through the API."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from core.people.accounts import Role
from core.states import JobState
from tests.dashboard.conftest import Place


def test_a_job_goes_from_queued_to_completed(place: Place) -> None:
    ada = place.script()
    job_id = ada.job(3, name="three voices")
    job = ada.get(f"/api/v1/jobs/{job_id}").json
    assert (job["state"], job["name"], job["model"]) == ("queued", "three voices", "default@1")
    assert job["request_counts"]["pending"] == job["request_counts"]["total"] == 3
    assert place.worker().run() == 3
    job = ada.get(f"/api/v1/jobs/{job_id}").json
    assert job["state"] == "completed"
    assert job["request_counts"]["done"] == 3
    assert job["finished_at"] >= job["started_at"] >= job["created_at"]
    assert job["links"]["html"] == f"/jobs/{job_id}"
    assert ada.get(job["links"]["items"]).status_code == 200


def test_a_line_that_could_not_be_sent_is_kept_with_its_reason(place: Place) -> None:
    ada = place.script()
    job_id = ada.submit(
        [
            {"key": "a", "name": "a.flac", "recording": ada.send()},
            {"key": "b", "name": "b.flac", "error_code": "unreadable_file", "error_message": "It is gone."},
        ]
    ).json["id"]
    place.worker().run()
    job = ada.get(f"/api/v1/jobs/{job_id}").json
    assert job["state"] == "completed_with_errors"
    assert job["errors"] == [{"code": "unreadable_file", "count": 1, "example": "It is gone."}]


def test_the_same_idempotency_key_brings_back_the_same_job(place: Place) -> None:
    ada, bob = place.script("ada"), place.script("bob")
    ada_items, bob_items = [{"key": "a", "recording": ada.send()}], [{"key": "a", "recording": bob.send()}]
    headers = {"Idempotency-Key": "press-1"}

    def press(_: int) -> str:
        answer = ada.submit(ada_items, headers=headers)
        assert answer.status_code == 201, answer.text
        return str(answer.json["id"])

    with ThreadPoolExecutor(8) as threads:
        made = set(threads.map(press, range(16)))
    assert len(made) == 1
    assert bob.submit(bob_items, headers=headers).json["id"] not in made


def test_what_makes_no_job_is_refused_with_a_reason(sqlite_place: Place) -> None:
    ada, bob = sqlite_place.script("ada"), sqlite_place.script("bob")
    theirs = bob.send()
    mine = ada.send(b"OggS and so on")
    for items, reason in (
        ([], "at least one"),
        ([{"key": "a", "recording": theirs}], "not here"),
        ([{"key": "a", "recording": "0" * 64}], "not here"),
        ([{"key": "a", "recording": "../../etc/passwd"}], "items.0.recording"),
        ([{"key": "a", "recording": mine}, {"key": "a", "recording": mine}], "used twice"),
        ([{"key": "a"}], "neither"),
        ([{"key": "a", "recording": mine, "surprise": 1}], "surprise"),
    ):
        answer = ada.submit(items)
        assert answer.status_code == 400, answer.text
        assert answer.json["code"] == "invalid_request"
        assert reason in answer.json["detail"]
    assert "no model 'nix'" in ada.submit([{"key": "a", "recording": mine}], model="nix").json["detail"]
    assert ada.post("/api/v1/jobs", data="{", content_type="application/json").status_code == 400
    assert ada.get("/api/v1/jobs").json == {"data": [], "next": None}


def test_names_that_no_database_keeps_come_back_readable(place: Place) -> None:
    ada = place.script()
    names = [
        "../../up.wav",
        "nul\0l.wav",
        "half \ud83d surrogate.wav",
        "quo\"te's.wav",
        "😀.wav",
        "x" * 300 + ".wav",
    ]
    items = [{"key": f"{n} {name}", "name": name, "recording": ada.send()} for n, name in enumerate(names)]
    job_id = ada.submit(items).json["id"]
    shown = [item["name"] for item in ada.get(f"/api/v1/jobs/{job_id}/items").json["data"]]
    assert shown[0] == names[0]
    assert shown[3:] == names[3:]
    assert "\0" not in shown[1]


def test_jobs_are_listed_newest_first_page_by_page(place: Place) -> None:
    ada = place.script()
    made = [ada.job(1, name=str(number)) for number in range(5)]
    seen, before = [], ""
    while True:
        page = ada.get(f"/api/v1/jobs?limit=2{before}").json
        seen += [job["id"] for job in page["data"]]
        if page["next"] is None:
            break
        before = f"&before={page['next']}"
    assert seen == sorted(made, reverse=True)
    assert ada.get("/api/v1/jobs?state=completed,failed").json["data"] == []
    assert len(ada.get("/api/v1/jobs?state=queued").json["data"]) == 5
    assert ada.get("/api/v1/jobs?state=asleep").status_code == 400
    assert ada.get("/api/v1/jobs?limit=0").status_code == 400


def test_a_job_can_be_paused_resumed_cancelled_and_taken_up_again(place: Place) -> None:
    ada = place.script()
    job = f"/api/v1/jobs/{ada.job(2)}"
    worker = place.worker()
    assert ada.post(f"{job}/pause").json["state"] == "paused"
    assert worker.step() == 0
    assert ada.post(f"{job}/resume").json["state"] == "queued"
    assert worker.step(size=1) == 1
    cancelled = ada.post(f"{job}/cancel").json
    assert cancelled["state"] == "cancelled"
    assert cancelled["request_counts"]["cancelled"] == 1
    assert ada.post(f"{job}/pause").status_code == 409
    answer = ada.post(f"{job}/retry", json={"which": "cancelled"}).json
    assert answer["retried"] == 1
    assert answer["job"]["state"] == "queued"
    worker.run()
    assert ada.get(job).json["state"] == "completed"
    assert ada.post(f"{job}/retry", json={"which": "failed"}).json["code"] == "conflict"


def test_only_what_failed_is_retried(place: Place) -> None:
    ada = place.script()
    job = f"/api/v1/jobs/{ada.job(3)}"
    place.worker(refuse=lambda item: ("no_speech", "Silence.") if item.name == "voice 1.flac" else None).run()
    assert ada.get(job).json["errors"] == [{"code": "no_speech", "count": 1, "example": "Silence."}]
    assert ada.post(f"{job}/retry", json={"which": "failed"}).json["retried"] == 1
    assert place.worker().run() == 1
    assert ada.get(job).json["state"] == "completed"


def test_viewers_and_operators_see_everything_but_only_operators_change_it(place: Place) -> None:
    job = f"/api/v1/jobs/{place.script('ada').job(1)}"
    vera, otto = place.script("vera", Role.VIEWER), place.script("otto", Role.OPERATOR)
    assert vera.get(job).status_code == otto.get(job).status_code == 200
    assert vera.post(f"{job}/cancel").status_code == 403
    assert otto.post(f"{job}/cancel").json["state"] == JobState.CANCELLED


def test_only_operators_jump_the_queue(sqlite_place: Place) -> None:
    ada, otto = sqlite_place.script("ada"), sqlite_place.script("otto", Role.OPERATOR)
    assert ada.submit([{"key": "a", "recording": ada.send()}], priority=5).status_code == 403
    assert ada.submit([{"key": "a", "recording": ada.send()}], priority=-5).status_code == 201
    assert otto.submit([{"key": "a", "recording": otto.send()}], priority=5).json["priority"] == 5


def test_who_you_are_and_what_you_may_choose(sqlite_place: Place) -> None:
    ada = sqlite_place.script()
    assert ada.get("/api/v1/me").json["name"] == "ada"
    model = ada.get("/api/v1/models").json["data"][0]
    assert (model["label"], model["aliases"]) == ("default@1", ["production"])
