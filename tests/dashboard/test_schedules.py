"""Schedules and collections through the API, on pages, and from the shell."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from werkzeug.serving import make_server

from core.cli.collections import app as collections_command
from core.cli.schedules import app as schedules_command
from core.ledger.schedule_tables import ScheduleRun
from core.ledger.training_tables import AuditEntry
from core.people.accounts import Role
from core.schedules.states import RunState
from core.ticker import Scheduling
from tests.dashboard.conftest import Place, Script
from tests.dashboard.test_datasets import _Quiet, run, write_people

TEMPLATE: dict[str, Any] = {
    "source": {"collection": "people"},
    "training": {"preset": "matching-small", "model": "matcher"},
}


def people(script: Script, count: int = 3, *, first: int = 0) -> dict[str, str]:
    return {
        f"p{number}/{name}": script.send(f"{number}/{name}".encode())
        for number in range(first, first + count)
        for name in ("voice.wav", "face.png")
    }


def add(script: Script, files: dict[str, str], name: str = "people") -> Any:
    body = {"files": [{"path": path, "recording": sha256} for path, sha256 in files.items()]}
    return script.post(f"/api/v1/collections/{name}/files", json=body)


def wish(**values: Any) -> dict[str, Any]:
    return {
        "name": "weekly",
        "cron": "30 2 * * *",
        "time_zone": "Europe/Berlin",
        "template": TEMPLATE,
        **values,
    }


@pytest.fixture
def olga(sqlite_place: Place) -> Script:
    """An operator with a collection of three people."""
    script = sqlite_place.script("olga", Role.OPERATOR)
    assert add(script, people(script)).status_code == 200
    return script


def test_a_collection_grows_and_counts_its_pairs(sqlite_place: Place, olga: Script) -> None:
    files = people(olga, 4)
    assert add(olga, files).json == {"collection": "people", "new": 2, "known": 6}
    assert add(olga, files).json == {"collection": "people", "new": 0, "known": 8}
    shown = olga.get("/api/v1/collections/people").json
    assert (shown["files"], shown["pairs"], shown["newest"][0]) == (8, 4, "p3/face.png")
    add(olga, {"alone/voice.wav": olga.send(b"alone")})
    assert olga.get("/api/v1/collections/people").json["pairs"] == 4
    assert [one["name"] for one in olga.get("/api/v1/collections").json["data"]] == ["people"]
    empty = olga.ask("PUT", "/api/v1/collections/empty").json
    assert (empty["files"], olga.get("/api/v1/collections/empty").json["pairs"]) == (0, 0)


def test_another_content_under_a_known_path_is_refused_and_nothing_is_added(olga: Script) -> None:
    changed = {"new/voice.wav": olga.send(b"new"), "p0/voice.wav": olga.send(b"changed")}
    answer = add(olga, changed)
    assert answer.status_code == 409
    assert "'p0/voice.wav'. Give them other names." in answer.json["detail"]
    assert olga.get("/api/v1/collections/people").json["files"] == 6


def test_files_that_were_never_sent_and_paths_that_lead_elsewhere_are_refused(olga: Script) -> None:
    nobodys = hashlib.sha256(b"nobody's").hexdigest()
    assert "were never sent" in add(olga, {"a/b.wav": nobodys}).json["detail"]
    for path in ("../up.wav", "/etc/passwd", "a//b.wav"):
        assert add(olga, {path: olga.send(b"x")}).status_code == 400
    assert add(olga, {}, "no spaces").status_code == 400


def test_a_collection_is_its_owners(sqlite_place: Place) -> None:
    ada, bob = sqlite_place.script("ada"), sqlite_place.script("bob")
    assert add(ada, people(ada)).status_code == 200
    assert bob.get("/api/v1/collections/people").status_code == 404
    assert bob.get("/api/v1/collections").json["data"] == []
    refused = add(bob, people(bob))
    assert (refused.status_code, "of somebody else" in refused.json["detail"]) == (400, True)
    eve = sqlite_place.script("eve", Role.VIEWER)
    assert eve.get("/api/v1/collections/people").status_code == 200
    assert add(eve, {}).status_code == 403


def test_a_schedule_is_made_with_its_next_five_times_in_two_zones(olga: Script) -> None:
    made = olga.post("/api/v1/schedules", json=wish())
    assert made.status_code == 201, made.text
    assert made.json["when"] == "At 02:30 (Europe/Berlin)"
    assert made.json["webhook_secret"] is None
    assert made.json["template"]["training"]["recipe"]["task"] == "matching"
    shown = olga.get("/api/v1/schedules/weekly?zone=Asia/Tokyo").json
    assert len(shown["next"]) == 5
    for time in shown["next"]:
        moments = {datetime.fromisoformat(time[name]) for name in ("at", "local", "yours")}
        assert len(moments) == 1
        assert "T02:30" in time["local"]
        assert time["yours"].endswith("+09:00")
    assert olga.get("/api/v1/schedules?zone=Nowhere").status_code == 400


def test_a_wish_that_could_not_be_carried_out_is_refused_whole(olga: Script) -> None:
    def with_training(**values: Any) -> dict[str, Any]:
        return {"template": {**TEMPLATE, "training": {**TEMPLATE["training"], **values}}}

    slips: list[tuple[dict[str, Any], str]] = [
        ({"cron": "30 2 * *"}, "has 4"),
        ({"cron": "61 2 * * *"}, "is no cron expression (Bad minute)"),
        ({"cron": "0 0 30 2 *"}, "no cron expression"),
        ({"cron": None}, "say when it fires"),
        ({"time_zone": "Berlin"}, "no time zone 'Berlin'"),
        ({"new_pairs": 0}, "new_pairs"),
        ({"name": "no spaces"}, "name"),
        ({"overlap": "maybe"}, "overlap"),
        ({"template": {**TEMPLATE, "source": {"collection": "nobody"}}}, "There is no collection 'nobody'"),
        (with_training(preset="magic"), "there is no preset 'magic'"),
        (with_training(model="production"), "is an alias"),
        (with_training(after={"promote": True}), "draws nothing by itself, so it cannot be production"),
        (
            {"template": {**TEMPLATE, "prepare": {"face": None}}},
            "needs waveform and picture",
        ),
        ({"webhook_url": "ftp://example.org/x"}, "webhook_url"),
        ({"webhook_url": "http://127.0.0.1/x"}, "not in the open internet"),
        ({"webhook_url": "http://user:pw@example.org/"}, "no user or password"),
        ({"colour": "red"}, "colour"),
    ]
    for more, said in slips:
        answer = olga.post("/api/v1/schedules", json=wish(**more))
        assert (answer.status_code, said in answer.json["detail"]) == (400, True), (more, answer.text)
    assert olga.get("/api/v1/schedules").json["data"] == []


def test_a_name_is_taken_until_the_schedule_is_removed(olga: Script) -> None:
    assert olga.post("/api/v1/schedules", json=wish()).status_code == 201
    twice = olga.post("/api/v1/schedules", json=wish())
    assert (twice.status_code, "already a schedule" in twice.json["detail"]) == (400, True)
    assert olga.ask("DELETE", "/api/v1/schedules/weekly").json == {"removed": "weekly"}
    assert olga.get("/api/v1/schedules/weekly").status_code == 404
    assert olga.post("/api/v1/schedules", json=wish()).status_code == 201


def test_only_operators_change_schedules_and_everybody_may_look(sqlite_place: Place, olga: Script) -> None:
    olga.post("/api/v1/schedules", json=wish())
    for name, role in (("ada", Role.SUBMITTER), ("eve", Role.VIEWER)):
        script, browser = sqlite_place.script(name, role), sqlite_place.browser(name, role)
        assert script.get("/api/v1/schedules/weekly").status_code == 200
        assert script.post("/api/v1/schedules", json=wish(name="mine")).status_code == 403
        assert script.ask("PATCH", "/api/v1/schedules/weekly", json={}).status_code == 403
        assert script.ask("DELETE", "/api/v1/schedules/weekly").status_code == 403
        for action in ("pause", "resume", "run", "secret"):
            assert script.post(f"/api/v1/schedules/weekly/{action}", json={}).status_code == 403
        assert "Run now" not in browser.get("/schedules/weekly").text
        assert browser.get("/schedules/new").status_code == 403
        assert browser.post("/schedules/weekly/pause").status_code == 403
    assert olga.get("/api/v1/schedules/weekly").json["paused_at"] is None


def test_editing_changes_what_is_given_and_nothing_else(olga: Script) -> None:
    before = olga.post("/api/v1/schedules", json=wish()).json
    after = olga.ask("PATCH", "/api/v1/schedules/weekly", json={"cron": "0 4 * * *", "new_pairs": 7}).json
    assert after["when"] == "At 04:00 (Europe/Berlin), or as soon as 7 new pairs have arrived"
    assert after["next"] != before["next"]
    same = ("template", "overlap", "catch_up", "time_zone", "created_at")
    assert {name: after[name] for name in same} == {name: before[name] for name in same}
    without = olga.ask("PATCH", "/api/v1/schedules/weekly", json={"cron": None}).json
    assert (without["when"], without["next"]) == ("As soon as 7 new pairs have arrived", [])
    for change, said in (
        ({"new_pairs": None}, "say when it fires"),
        ({"cron": "x"}, "five fields"),
        ({"template": {**TEMPLATE, "source": {"collection": "nobody"}}}, "no collection"),
    ):
        answer = olga.ask("PATCH", "/api/v1/schedules/weekly", json=change)
        assert (answer.status_code, said in answer.json["detail"]) == (400, True), answer.text


def test_a_run_is_begun_looked_at_and_cancelled(sqlite_place: Place, olga: Script) -> None:
    olga.post("/api/v1/schedules", json=wish())
    begun = olga.post("/api/v1/schedules/weekly/run", json={})
    assert (begun.status_code, begun.json["why"], begun.json["state"]) == (201, "by_hand", "queued")
    again = olga.post("/api/v1/schedules/weekly/run", json={})
    assert (again.status_code, "under way" in again.json["detail"]) == (409, True)
    Scheduling(sqlite_place.database, sqlite_place.store, sqlite_place.settings).round()
    run_path = f"/api/v1/schedules/weekly/runs/{begun.json['id']}"
    now_preparing = olga.get(run_path).json
    assert (now_preparing["state"], now_preparing["pairs"]) == ("preparing", 3)
    job = now_preparing["prepare_job"]
    assert olga.get(f"/api/v1/jobs/{job}").json["name"] == "weekly: dataset people"
    cancelled = olga.post(f"{run_path}/cancel").json
    assert (cancelled["state"], cancelled["sentence"]) == ("cancelled", "olga cancelled it.")
    assert olga.get(f"/api/v1/jobs/{job}").json["state"] == "cancelled"
    assert olga.post(f"{run_path}/cancel").status_code == 409
    assert olga.get("/api/v1/schedules/weekly/runs/run_x").status_code == 404
    # A job that is retried takes its run on again.
    olga.post(f"/api/v1/jobs/{job}/retry", json={"which": "unfinished"})
    Scheduling(sqlite_place.database, sqlite_place.store, sqlite_place.settings).round()
    assert olga.get(run_path).json["state"] == "preparing"


def test_what_people_do_is_audited_without_the_keys_in_addresses(sqlite_place: Place, olga: Script) -> None:
    settings = sqlite_place.settings.model_copy(update={"webhooks_to_private": True})
    from tests.dashboard.conftest import create_app

    open_minded = Script(create_app(settings), olga.token)
    made = open_minded.post(
        "/api/v1/schedules", json=wish(webhook_url="http://127.0.0.1:9/hooks/my-key")
    ).json
    assert re.fullmatch(r"vswh_[A-Za-z0-9_-]{43}", made["webhook_secret"])
    assert "webhook_secret" not in open_minded.get("/api/v1/schedules/weekly").json
    ada = sqlite_place.script("ada")
    assert ada.get("/api/v1/schedules/weekly").json["webhook_url"] == "127.0.0.1"
    new = open_minded.post("/api/v1/schedules/weekly/secret").json["webhook_secret"]
    assert new != made["webhook_secret"]
    open_minded.post("/api/v1/schedules/weekly/pause")
    open_minded.post("/api/v1/schedules/weekly/resume")
    open_minded.ask("DELETE", "/api/v1/schedules/weekly")
    with sqlite_place.database.read() as session:
        entries = list(session.scalars(select(AuditEntry).order_by(AuditEntry.id)))
    assert [entry.action for entry in entries] == [
        "schedule.create",
        "schedule.secret",
        "schedule.pause",
        "schedule.resume",
        "schedule.remove",
    ]
    told = json.dumps([entry.details for entry in entries])
    assert "my-key" not in told
    assert "vswh_" not in told


def test_a_preview_tells_when_an_expression_fires(olga: Script) -> None:
    body = {"cron": "0 9 * * MON", "time_zone": "America/New_York", "zone": "UTC"}
    told = olga.post("/api/v1/schedules/preview", json=body).json
    assert told["words"] == "At 09:00, only on Monday"
    assert len({time["at"] for time in told["next"]}) == 5
    assert all(datetime.fromisoformat(time["at"]).weekday() == 0 for time in told["next"])
    bad = olga.post("/api/v1/schedules/preview", json={"cron": "every day"})
    assert (bad.status_code, "five fields" in bad.json["detail"]) == (400, True)


def test_the_pages_show_schedules_runs_and_their_buttons(sqlite_place: Place, olga: Script) -> None:
    browser = sqlite_place.browser("olga", Role.OPERATOR)
    assert "Nothing is retrained by itself yet" in browser.get("/schedules").text
    form = browser.get("/schedules/new").text
    assert all(
        text in form for text in ("people", "matching-small", "Europe/Berlin", "matching.voice_to_face.2")
    )
    olga.post("/api/v1/schedules", json=wish(new_pairs=5))
    listed = browser.get("/schedules").text
    assert "At 02:30 (Europe/Berlin), or as soon as 5 new pairs have arrived" in listed
    assert "Has not run yet" in listed
    assert browser.post("/schedules/weekly/run").status_code == 303
    page = browser.get("/schedules/weekly").text
    assert all(text in page for text in ("Waiting", "by hand", "Cancel", "Run now", "matcher"))
    Scheduling(sqlite_place.database, sqlite_place.store, sqlite_place.settings).round()
    part = browser.get("/schedules/weekly/runs").text
    assert "Preparation" in part
    assert "<html" not in part
    with sqlite_place.database.read() as session:
        run_id = session.scalar(select(ScheduleRun.id))
    assert browser.post(f"/schedules/weekly/runs/{run_id}/cancel").status_code == 303
    assert browser.post(f"/schedules/weekly/runs/{run_id}/cancel").status_code == 303  # it ended before
    assert "olga cancelled it." in browser.get("/schedules/weekly").text
    assert browser.post("/schedules/weekly/pause").status_code == 303
    assert "Paused" in browser.get("/schedules/rows").text
    assert "Resume" in browser.get("/schedules/weekly").text
    edit = browser.get("/schedules/weekly/edit").text
    assert 'value="30 2 * * *"' in edit
    assert browser.post("/schedules/weekly/remove").location == "/schedules"
    assert browser.get("/schedules/weekly").status_code == 404


def test_names_from_strangers_are_shown_as_text(sqlite_place: Place, olga: Script) -> None:
    olga.post("/api/v1/schedules", json=wish())
    with sqlite_place.database.write() as session:
        from core.schedules.steering import find_schedule

        schedule = find_schedule(session, "weekly")
        session.add(
            ScheduleRun(
                id="run_x",
                schedule_id=schedule.id,
                fire_time=schedule.created_at,
                why="cron",
                state=RunState.FAILED,
                pairs=0,
                result={},
                reason="<script>alert(1)</script>",
                created_at=schedule.created_at,
                ended_at=schedule.created_at,
            )
        )
    page = sqlite_place.browser("olga", Role.OPERATOR).get("/schedules/weekly").text
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page


@pytest.fixture
def where(sqlite_place: Place, olga: Script) -> Iterator[list[str]]:
    """A place behind HTTP: the options by which commands find it."""
    server = make_server("127.0.0.1", 0, sqlite_place.app, threaded=True, request_handler=_Quiet)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield ["--url", f"http://127.0.0.1:{server.server_port}", "--token", olga.token]
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_shell_adds_a_folder_makes_a_schedule_and_steers_it(where: list[str], tmp_path: Path) -> None:
    folder = write_people(tmp_path / "faces", 4)
    first = json.loads(run(collections_command, "add", "faces", folder, *where, "--json").stdout)
    assert first["new"] > 8
    again = json.loads(run(collections_command, "add", "faces", folder, *where, "--json").stdout)
    assert (again["new"], again["known"]) == (0, first["new"])
    shown = json.loads(run(collections_command, "show", "faces", *where, "--json").stdout)
    assert shown["pairs"] >= 4
    assert "people  6 files" in run(collections_command, "list", *where).stdout

    choice = ["--collection", "faces", "--preset", "matching-small", "--model", "matcher"]
    when = ["--cron", "0 3 * * 1", "--tz", "Europe/Berlin", "--gate", "auc"]
    made = run(schedules_command, "add", "weekly", *choice, *when, "--warm-start", *where, "--json")
    assert made.exit_code == 0, made.output
    template = json.loads(made.stdout)["template"]
    assert template["training"]["after"]["gate"] == {"metric": "auc", "alias": "production"}
    assert template["warm_start"] is True
    assert "At 03:00, only on Monday (Europe/Berlin)" in run(schedules_command, "list", *where).stdout

    edited = run(schedules_command, "edit", "weekly", "--new-pairs", "9", "--fresh", *where, "--json")
    assert (json.loads(edited.stdout)["new_pairs"], edited.exit_code) == (9, 0)
    assert json.loads(edited.stdout)["template"]["warm_start"] is False
    assert "paused" in run(schedules_command, "pause", "weekly", *where).stdout
    assert "next" in run(schedules_command, "resume", "weekly", *where).stdout
    begun = json.loads(run(schedules_command, "run", "weekly", *where, "--json").stdout)
    assert begun["id"] in run(schedules_command, "show", "weekly", *where).stdout
    ended = run(schedules_command, "cancel", "weekly", begun["id"], *where)
    assert ended.stdout.endswith("olga cancelled it.\n")
    assert run(schedules_command, "remove", "weekly", *where).stdout == "weekly is removed.\n"
    refused = run(schedules_command, "show", "weekly", *where)
    assert (refused.exit_code, refused.stderr) == (2, "There is no schedule 'weekly'.\n")
