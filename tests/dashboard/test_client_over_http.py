"""The client and the dashboard over a real connection: a script's whole day."""

from __future__ import annotations

import io
import json
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner
from werkzeug.serving import WSGIRequestHandler, make_server

from core.cli.jobs import app as jobs_command
from core.client import Client
from core.errors import Conflict, NotAllowed, NotFound
from core.people.accounts import Role
from core.specs import NewItem
from core.states import ItemState, JobState
from dashboard.api import events
from tests.dashboard.conftest import SOUND, Place


class _Handler(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def log(self, type: str, message: str, *args: object) -> None:
        pass


@pytest.fixture
def address(sqlite_place: Place, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setattr(events, "POLL_SECONDS", 0.05)
    server = make_server("127.0.0.1", 0, sqlite_place.app, threaded=True, request_handler=_Handler)
    server.daemon_threads = True  # type: ignore[attr-defined]
    server.block_on_close = False  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_script_sends_submits_follows_marks_and_takes_away(sqlite_place: Place, address: str) -> None:
    client = Client(address, sqlite_place.script().token)
    items = []
    for number in range(3):
        sha256 = client.send_recording(io.BytesIO(SOUND + bytes([number])))
        items.append(NewItem(key=f"line {number}", name=f"voice {number}.flac", recording=sha256))
    assert client.recording(sha256)["size_bytes"] == len(SOUND) + 1

    job = client.create_job(items, idempotency_key="once", labels={"for": "fun"}, seed=3)
    assert client.create_job(items, idempotency_key="once").id == job.id
    assert [one.id for one in client.jobs(label="for=fun")] == [job.id]
    assert client.set_priority(job.id, -5).raw["priority"] == -5

    news = client.follow_job(job.id, since=0)
    first = next(news)
    sqlite_place.worker(refuse=lambda item: ("no_speech", "Silence.") if "1" in item.name else None).run()
    told = [first, *news]
    assert told[-1].data["state"] == JobState.COMPLETED_WITH_ERRORS
    assert {item["state"] for event in told if event.name == "items" for item in event.data["data"]} >= {
        "done",
        "failed",
    }

    failed = list(client.items(job.id, state="failed"))
    assert [(item.key, item.error_code) for item in failed] == [("line 1", "no_speech")]
    drawn = client.item_ids(job.id, state="done,cached")
    assert client.mark(job.id, drawn[0], favourite=True, note="a fine one")["favourite"]
    assert [item.id for item in client.items(job.id, favourites=True)] == drawn[:1]

    faces = zipfile.ZipFile(io.BytesIO(b"".join(client.stream_zip_of(job.id, drawn[:1]))))
    assert client.face(job.id, drawn[0]) == faces.read("voice 0.png")
    assert b"no_speech" in b"".join(client.stream_errors(job.id))
    assert client.webhook(job.id) == {"url": None, "notes": []}
    assert [move["new"] for move in client.timeline(job.id)][-1] == "completed_with_errors"

    count, again = client.retry(job.id, error_code="no_speech", items=[failed[0].id])
    assert (count, again.counts[ItemState.PENDING]) == (1, 1)
    assert client.cancel(job.id).is_final
    with pytest.raises(Conflict):
        client.pause(job.id)


def test_an_administrator_lets_somebody_in_who_may_do_less(sqlite_place: Place, address: str) -> None:
    boss = Client(address, sqlite_place.script("ada", Role.ADMIN).token)
    made = boss.create_user("bob", "viewer")
    assert [user["name"] for user in boss.users()] == ["ada", "bob"]
    assert boss.sign_in_link(made["id"]) != made["link"]
    assert boss.change_user(made["id"], role="submitter")["role"] == "submitter"
    assert {entry["subject"] for entry in boss.audit(limit=3)} >= {made["id"]}

    narrow = boss.make_token("reading only", scope="read", days=3)
    reader = Client(address, narrow["token"])
    assert reader.me()["name"] == "ada"
    with pytest.raises(NotAllowed):
        reader.create_user("eve", "admin")
    boss.revoke_token(narrow["id"])
    with pytest.raises(NotAllowed):
        Client(address, narrow["token"]).me()
    with pytest.raises(NotFound):
        boss.drain("nobody")
    assert boss.queues() == []
    assert boss.health()["checks"]


def test_the_shell_shows_what_a_real_dashboard_answers(
    sqlite_place: Place, address: str, tmp_path: Path
) -> None:
    script = sqlite_place.script()
    job_id = script.job(3, labels={"for": "fun"}, webhook_url="https://1.1.1.1/told")  # nothing is sent
    sqlite_place.worker(refuse=lambda item: ("no_speech", "Silence.") if "1" in item.name else None).run()

    def run(*words: str) -> str:
        given = [*words, "--url", address, "--token", script.token]
        result = CliRunner().invoke(jobs_command, given)
        assert result.exit_code == 0, result.stderr
        return result.stdout

    assert job_id in run("list", "--label", "for=fun", "--state", "completed_with_errors")
    assert "no such job" in run("list", "--search", "somebody else's")
    lines = [json.loads(line) for line in run("items", "last", "--json").splitlines()]
    assert [line["state"] for line in lines] == ["done", "failed", "done"]
    failed = run("items", "last", "--code", "no_speech").splitlines()
    assert len(failed) == 1 and failed[0].endswith("line 1  no_speech: Silence.")
    run("results", "last", "--as", "zip", "--out", str(tmp_path / "faces.zip"))
    assert "voice 0.png" in zipfile.ZipFile(tmp_path / "faces.zip").namelist()
    assert not list(tmp_path.glob(".faces*"))  # nothing unfinished is left
    assert [json.loads(line)["key"] for line in run("results", "last", "--json").splitlines()] == [
        "line 0",
        "line 1",
        "line 2",
    ]
    assert "completed_with_errors" in run("timeline", "last").splitlines()[-1]
    last = json.loads(run("events", "last", "--json").splitlines()[-1])
    assert (last["event"], last["data"]["id"]) == ("job", job_id)
    told = run("webhook", "last").splitlines()
    assert told[0] == "https://1.1.1.1/told" and "to be sent" in told[1]
    assert "1 recordings for default@1" in run("rerun", "last", "--which", "failed", "--dry-run")
    again = CliRunner().invoke(
        jobs_command, ["retry", "last", "--code", "other", "--url", address, "--token", script.token]
    )
    assert again.exit_code == 2 and again.stdout == ""
