"""Live news of a job."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from dashboard.api import events
from tests.dashboard.conftest import Place, Script


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "POLL_SECONDS", 0.05)


def read(script: Script, job_id: str, query: str = "", **headers: str) -> Iterator[tuple[int, str, Any]]:
    """The events of a stream as they come: id, name, data."""
    answer = script.get(f"/api/v1/jobs/{job_id}/events{query}", headers=headers, buffered=False)
    assert answer.mimetype == "text/event-stream"
    for block in answer.iter_encoded():
        for event in block.decode().strip().split("\n\n"):
            fields = dict(line.split(": ", 1) for line in event.splitlines() if not line.startswith(":"))
            if "event" in fields:
                yield int(fields["id"]), fields["event"], json.loads(fields["data"])
    answer.close()


def test_a_stream_tells_each_move_and_ends_with_the_job(place: Place) -> None:
    ada = place.script()
    job_id = ada.job(3)
    stream = read(ada, job_id)
    number, name, job = next(stream)
    assert (name, job["state"]) == ("job", "queued")
    place.worker().step(size=2)
    seen = [next(stream), next(stream)]
    assert {name for _, name, _ in seen} == {"items", "job"}
    items = next(data for _, name, data in seen if name == "items")
    assert {item["state"] for item in items["data"]} == {"done"}
    assert all(item["face_url"] for item in items["data"])
    assert seen[0][0] > number
    place.worker().run()
    rest = list(stream)
    assert rest[-1][1] == "job"
    assert rest[-1][2]["state"] == "completed"


def test_a_browser_that_comes_back_is_told_what_it_missed(place: Place) -> None:
    ada = place.script()
    job_id = ada.job(4)
    last = next(read(ada, job_id))[0]
    place.worker().step(size=2)
    missed = read(ada, job_id, **{"Last-Event-ID": str(last)})
    _, name, data = next(missed)
    assert (name, len(data["data"]), data["more"]) == ("items", 2, False)
    same = read(ada, job_id, f"?since={last}")
    assert next(same)[2] == data
    place.worker().run()
    *_, (final, _, _) = missed
    again = ada.get(f"/api/v1/jobs/{job_id}/events", headers={"Last-Event-ID": str(final)})
    assert again.status_code == 204  # which tells an EventSource to stop asking


def test_who_fell_far_behind_is_told_to_read_again(
    sqlite_place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "_ITEMS_AT_ONCE", 2)
    ada = sqlite_place.script()
    job_id = ada.job(4)
    sqlite_place.worker().run()
    _, name, data = next(read(ada, job_id, "?since=1"))
    assert (name, data["more"]) == ("items", True)


def test_a_quiet_stream_shows_that_it_lives_and_takes_no_database_connection(
    sqlite_place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "HEARTBEAT_SECONDS", 0.1)
    ada = sqlite_place.script()
    job_id = ada.job(1)
    answer = ada.get(f"/api/v1/jobs/{job_id}/events", buffered=False)
    blocks = answer.iter_encoded()
    assert any(next(blocks).startswith(b": still here") for _ in range(4))
    assert sqlite_place.database.engine.pool.checkedout() == 0  # type: ignore[attr-defined]
    answer.close()


def test_a_page_that_was_left_gives_its_place_back_before_anything_is_written(sqlite_place: Place) -> None:
    ada = sqlite_place.script()
    for path in (f"/api/v1/jobs/{ada.job(1)}/events", "/api/v1/events"):
        ours, theirs = socket.socketpair()
        with ours, theirs:
            answer = ada.get(path, buffered=False, environ_overrides={"gunicorn.socket": ours})
            pieces = answer.iter_encoded()
            assert b"retry" in next(pieces)
            theirs.send(b"GET /next HTTP/1.1")  # whoever asks for more is still there
            theirs.shutdown(socket.SHUT_WR)
            assert not events.ends(ours)
            ours.recv(100)
            assert events.ends(ours)
            assert [piece for piece in pieces if b"still here" in piece] == []
        answer.close()


def test_streams_never_take_all_threads(sqlite_place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "_places", threading.BoundedSemaphore(1))
    ada = sqlite_place.script()
    path = f"/api/v1/jobs/{ada.job(1)}/events"
    first = ada.get(path, buffered=False)
    next(first.iter_encoded())
    refused = ada.get(path)
    assert (refused.status_code, refused.json["code"]) == (503, "too_many_streams")
    first.close()
    third = ada.get(path, buffered=False)
    assert third.status_code == 200
    third.close()
