"""How a job went, its turn, and running it again."""

from __future__ import annotations

from core.accounts import Role
from core.database import now
from core.tables import ModelVersion
from tests.dashboard.conftest import Place


def _second_model(place: Place) -> None:
    with place.database.write() as session:
        session.add(
            ModelVersion(
                id="model_default_2",
                name="default",
                version=2,
                sha256="1" * 64,
                files=[],
                config={},
                created_at=now(session),
            )
        )


def test_a_job_tells_its_moves_and_its_pace(place: Place) -> None:
    ada = place.script()
    job = f"/api/v1/jobs/{ada.job(3)}"
    assert ada.get(f"{job}/throughput").json == {"start": None, "seconds": 0.0, "counts": []}
    ada.post(f"{job}/pause")
    ada.post(f"{job}/resume")
    place.worker().run()
    moves = ada.get(f"{job}/timeline").json["data"]
    assert [move["new"] for move in moves] == [
        "validating",
        "queued",
        "paused",
        "queued",
        "running",
        "finalizing",
        "completed",
    ]
    assert moves[2]["actor"] == "ada"
    pace = ada.get(f"{job}/throughput").json
    assert round(sum(pace["counts"])) == 3
    assert place.script("bob").get(f"{job}/timeline").status_code == 404
    assert place.script("bob").get(f"{job}/throughput").status_code == 404


def test_only_operators_put_a_job_first_and_the_change_is_told(place: Place) -> None:
    ada, ops = place.script(), place.script("ops", Role.OPERATOR)
    eve = place.script("eve", Role.VIEWER)
    job = f"/api/v1/jobs/{ada.job(1)}"
    assert ada.post(f"{job}/priority", json={"priority": 5}).status_code == 403
    assert eve.post(f"{job}/priority", json={"priority": -5}).status_code == 403
    assert ada.post(f"{job}/priority", json={"priority": -5}).json["priority"] == -5
    assert ops.post(f"{job}/priority", json={"priority": 7}).json["priority"] == 7
    assert ops.post(f"{job}/priority", json={"priority": 101}).status_code == 400
    last = ada.get(f"{job}/timeline").json["data"][-1]
    assert (last["reason"], last["actor"]) == ("priority -5 to 7", "ops")
    place.worker().run()
    assert ops.post(f"{job}/priority", json={"priority": 1}).status_code == 409


def test_a_dry_run_says_what_running_again_then_does(place: Place) -> None:
    _second_model(place)
    ada, bob = place.script(), place.script("bob")
    items = [{"key": f"{n}", "recording": ada.send(b"fLaC" + bytes([n]) * 50)} for n in range(3)]
    items.append({"key": "gone", "error_code": "unreadable_file", "error_message": "It is gone."})
    first = ada.submit(items, labels={"team": "radio"}).json["id"]
    place.worker().run()
    path = f"/api/v1/jobs/{first}/rerun"
    plan = {"model": "default@2", "which": "missing"}
    assert ada.post(path, json={**plan, "dry_run": True}).json == {
        **plan,
        "items": 3,
        "known": 0,
        "job": None,
    }
    assert len(ada.get("/api/v1/jobs").json["data"]) == 1
    made = ada.post(path, json=plan)
    assert made.status_code == 201
    again = ada.get(f"/api/v1/jobs/{made.json['job']}").json
    assert (again["rerun_of"], again["model"], again["labels"]) == (first, "default@2", {"team": "radio"})
    assert again["request_counts"]["total"] == 3
    place.worker().run()
    assert ada.post(path, json=plan).status_code == 400
    everything = ada.post(path, json={**plan, "which": "all", "dry_run": True}).json
    assert (everything["items"], everything["known"]) == (3, 3)
    assert ada.post(path, json={**plan, "which": "failed", "dry_run": True}).json["items"] == 0
    assert bob.post(path, json=plan).status_code == 404
    assert place.script("eve", Role.VIEWER).post(path, json=plan).status_code == 403
    assert ada.post(path, json={"model": "nix"}).status_code == 400


def test_the_page_shows_how_a_job_went_and_runs_it_again(sqlite_place: Place) -> None:
    ada = sqlite_place.script()
    items = [
        {"key": "a", "recording": ada.send()},
        {"key": "b", "error_code": "unreadable_file", "error_message": "It is gone."},
    ]
    job_id = ada.submit(items, labels={"team": "radio"}).json["id"]
    browser = sqlite_place.browser("ada")
    browser.get(f"/jobs/{job_id}")
    assert browser.post(f"/jobs/{job_id}/priority", priority="-3").status_code == 303
    assert browser.post(f"/jobs/{job_id}/priority", priority="3").status_code == 403
    assert browser.post(f"/jobs/{job_id}/priority", priority="x").status_code == 400
    sqlite_place.worker().run()
    page = browser.get(f"/jobs/{job_id}").text
    assert "Priority 0 to -3" in page
    assert "team: radio" in page
    _second_model(sqlite_place)
    dry = browser.post(f"/jobs/{job_id}/rerun", model="default@2", of="missing", dry="yes")
    assert "<b>1</b> recording with default@2" in dry.text
    made = browser.post(f"/jobs/{job_id}/rerun", model="default@2", of="all")
    assert made.status_code == 303
    assert f'href="/jobs/{job_id}"' in browser.get(made.location).text
