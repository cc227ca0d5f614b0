"""How a job went, its turn, and running it again."""

from __future__ import annotations

from core.ledger.database import now
from core.ledger.tables import ModelVersion
from core.people.accounts import Role
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
        "refused": None,
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


def test_what_failed_of_one_reason_or_was_chosen_is_run_again_by_itself(place: Place) -> None:
    _second_model(place)
    ada = place.script()
    job_id = ada.job(4)
    refuse = {"voice 1.flac": ("no_speech", "Silence."), "voice 2.flac": ("too_short", "Short.")}
    place.worker(refuse=lambda item: refuse.get(item.name)).run()
    path = f"/api/v1/jobs/{job_id}/rerun"
    plan = {"model": "default@2", "which": "all", "dry_run": True}
    assert ada.post(path, json=plan).json["items"] == 4
    assert ada.post(path, json={**plan, "error_code": "no_speech"}).json["items"] == 1
    ids = [item["id"] for item in ada.get(f"/api/v1/jobs/{job_id}/items").json["data"]]
    assert ada.post(path, json={**plan, "items": [ids[0], ids[3], 10**12]}).json["items"] == 2
    assert ada.post(path, json={**plan, "items": ids[:2], "which": "failed"}).json["items"] == 1
    assert ada.post(path, json={"model": "default@2", "error_code": "corrupt_audio"}).status_code == 400
    # Sent twice with one key it is one job, also once the model has drawn everything.
    once = {"headers": {"Idempotency-Key": "again"}, "json": {"model": "default@2", "items": [ids[0]]}}
    made = ada.post(path, **once).json["job"]
    place.worker().run()
    assert ada.post(path, **once).json["job"] == made
    assert ada.get(f"/api/v1/jobs/{made}").json["request_counts"]["total"] == 1
    # And on the page.
    browser = place.browser("ada")
    page = browser.get(f"/jobs/{job_id}").text
    assert f'href="/jobs/{job_id}?show=failed&amp;error_code=too_short"' in page
    assert '<option value="code:too_short">Failed of too_short (1)</option>' in page
    dry = browser.post(f"/jobs/{job_id}/rerun", model="default@2", of="code:too_short", dry="yes")
    assert "<b>1</b> recording with default@2" in dry.text
    chosen = browser.post(f"/jobs/{job_id}/rerun", model="default@2", chosen=f"{ids[2]}-{ids[3]}")
    assert "again with default@2" in browser.get(chosen.location).text
    assert browser.post(f"/jobs/{job_id}/rerun", model="default@2", chosen="x").status_code == 400


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
