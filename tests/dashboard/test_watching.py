"""What the API tells of a running program: where it stands, its curves, its log, its files."""

from __future__ import annotations

import io
import json
import math
import random
import time
import zipfile
from itertools import pairwise

import pytest

from core.people.accounts import Role
from core.states import JobState
from dashboard.api import events
from tests.dashboard.conftest import Place
from tests.factories import Ledger
from tests.programs import Program


def training(place: Place, owner: str = "ada") -> Program:
    return Ledger(place.database, place.users).training(owner=owner)


def test_a_program_is_told_before_while_and_after_it_runs(place: Place) -> None:
    ada, program = place.script(), training(place)
    path = f"/api/v1/jobs/{program.job_id}/training"
    before = ada.get(path).json
    assert (before["progress"], before["result"], before["kind"]) == (None, None, "train")
    assert before["spec"]["recipe"]["task"] == "ve_conv"
    program.tells(30, 100, phase="main", epoch=3, epochs=10, learning_rate=1e-3, resumed_at_step=20)
    while_running = ada.get(path).json["progress"]
    assert (while_running["step"], while_running["epoch"], while_running["resumed_at_step"]) == (30, 3, 20)
    told = json.dumps({"version": "voices@1", "promoted": False}).encode()
    program.leaves("result.json", "result", told, "application/json", store=place.store)
    assert ada.get(path).json["result"] is None  # a result counts once the job has ended
    program.ends()
    after = ada.get(path).json
    assert (after["state"], after["result"]["version"]) == ("completed", "voices@1")
    assert ada.get(f"/api/v1/jobs/{ada.job(1)}/training").status_code == 404


def test_curves_come_as_columns_and_then_only_what_is_new(place: Place) -> None:
    ada, program = place.script(), training(place)
    path = f"/api/v1/jobs/{program.job_id}/curves"
    empty = ada.get(path).json
    assert empty == {"series": {}, "epochs": {"steps": [], "epochs": []}, "next": -1, "thinned": False}
    program.curve({"train/total": [(20, 0.2, 0.5), (10, 0.1, 0.9)], "validation/total": [(20, 0.2, 0.7)]})
    first = ada.get(path).json
    assert first["series"]["train/total"] == {"steps": [10, 20], "values": [0.9, 0.5]}
    assert first["series"]["validation/total"] == {"steps": [20], "values": [0.7]}
    assert first["epochs"] == {"steps": [10, 20], "epochs": [0.1, 0.2]}
    assert not first["thinned"]
    # The newest step comes again: another curve may have joined it since.
    program.curve({"validation/identity": [(20, 0.2, 0.1)], "train/total": [(30, 0.3, 0.4)]})
    new = ada.get(f"{path}?after={first['next']}").json
    assert new["series"] == {
        "train/total": {"steps": [20, 30], "values": [0.5, 0.4]},
        "validation/total": {"steps": [20], "values": [0.7]},
        "validation/identity": {"steps": [20], "values": [0.1]},
    }
    nothing = ada.get(f"{path}?after=30").json
    assert (nothing["series"], nothing["next"]) == ({}, 30)
    assert ada.get(f"{path}?after=x").status_code == 400


def test_a_curve_of_100000_points_is_thinned_out_quickly_and_keeps_its_extremes(place: Place) -> None:
    ada, program = place.script(), training(place)
    draw = random.Random(5)
    values = [math.exp(-n / 20_000) + draw.random() * 0.1 for n in range(50_000)]
    values[31_415], values[27_182] = 99.0, -99.0
    for name in ("train/total", "train/identity"):
        program.curve({name: [(n * 10, n / 500, value) for n, value in enumerate(values)]})
    path = f"/api/v1/jobs/{program.job_id}/curves"
    # The best of twenty, since other work may run beside the tests; PostgreSQL hands the numbers over a socket.
    limit = 0.2 if place.database.engine.dialect.name == "sqlite" else 0.25
    took = math.inf
    for _ in range(20):
        begun = time.perf_counter()
        answer = ada.get(path)
        took = min(took, time.perf_counter() - begun)
        if took < limit:
            break
    curve = answer.json["series"]["train/identity"]
    assert answer.json["thinned"]
    assert 900 <= len(curve["steps"]) <= 1010
    assert all(a < b for a, b in pairwise(curve["steps"]))
    assert curve["values"] == pytest.approx([values[step // 10] for step in curve["steps"]])
    assert (max(curve["values"]), min(curve["values"])) == (99.0, -99.0)
    assert (curve["steps"][0], curve["steps"][-1]) == (0, 499_990)
    assert answer.json["epochs"]["epochs"][-1] == pytest.approx(49_999 / 500)
    assert took < limit
    assert len(ada.get(f"{path}?points=50").json["series"]["train/total"]["steps"]) <= 52


def test_the_log_is_read_from_its_end_and_then_onward(place: Place) -> None:
    ada, program = place.script(), training(place)
    path = f"/api/v1/jobs/{program.job_id}/log"
    assert ada.get(path).json == {"data": [], "next": 0}
    program.says(*(f"line {n}" for n in range(10)))
    tail = ada.get(f"{path}?limit=3").json
    assert [line["text"] for line in tail["data"]] == ["line 7", "line 8", "line 9"]
    program.says("Out of memory: batches are halved from now on.", level="warning")
    (new,) = ada.get(f"{path}?after={tail['next']}").json["data"]
    assert (new["level"], new["text"][:13]) == ("warning", "Out of memory")


def test_files_are_listed_sent_in_parts_and_packed(place: Place) -> None:
    ada, program = place.script(), training(place)
    files = f"/api/v1/jobs/{program.job_id}/files"
    program.leaves("history.csv", "history", b"step,value\n1,2\n", "text/csv", store=place.store)
    program.leaves("model/encoder/config.json", "model", b"{}", "application/json", store=place.store)
    program.leaves("report/report.html", "report", b"<p>Hello", "text/html", store=place.store)
    program.leaves("checkpoints/00000100.safetensors", "checkpoint", b"weights", step=100, store=place.store)
    listed = ada.get(files).json["data"]
    assert [file["name"] for file in listed] == sorted(file["name"] for file in listed)
    assert len(listed) == 4
    (checkpoint,) = ada.get(f"{files}?kind=checkpoint,best").json["data"]
    assert (checkpoint["step"], checkpoint["size_bytes"]) == (100, 7)
    sent = ada.get(checkpoint["url"])
    assert (sent.data, sent.mimetype) == (b"weights", "application/octet-stream")
    assert sent.headers["Content-Disposition"].startswith("attachment")
    part = ada.get(checkpoint["url"], headers={"Range": "bytes=2-4"})
    assert (part.status_code, part.data) == (206, b"igh")
    assert ada.get(checkpoint["url"], headers={"If-None-Match": sent.headers["ETag"]}).status_code == 304
    report = ada.get(f"{files}/report/report.html")
    assert report.mimetype == "text/html"
    assert "sandbox" in report.headers["Content-Security-Policy"]  # whatever is in it, it runs nothing
    assert "script-src" not in report.headers["Content-Security-Policy"]
    packed = zipfile.ZipFile(io.BytesIO(ada.get(f"{files}.zip?kind=model").data))
    assert packed.namelist() == ["model/encoder/config.json"]
    assert len(zipfile.ZipFile(io.BytesIO(ada.get(f"{files}.zip").data)).namelist()) == 4
    assert ada.get(f"{files}.zip?kind=events").status_code == 404
    assert ada.get(f"{files}/nothing.csv").status_code == 404


def test_a_newer_file_of_the_same_name_is_the_one_that_is_sent(sqlite_place: Place) -> None:
    ada, program = sqlite_place.script(), training(sqlite_place)
    path = f"/api/v1/jobs/{program.job_id}/files/history.csv"
    program.leaves("history.csv", "history", b"1", "text/csv", store=sqlite_place.store)
    old = ada.get(path)
    program.leaves("history.csv", "history", b"1,2", "text/csv", store=sqlite_place.store)
    assert ada.get(path, headers={"If-None-Match": old.headers["ETag"]}).data == b"1,2"
    assert "no-cache" in old.headers["Cache-Control"]


def test_what_another_submitter_trains_does_not_exist_for_them(place: Place) -> None:
    program = training(place, "ada")
    program.leaves("history.csv", "history", b"1", "text/csv", store=place.store)
    paths = [
        f"/api/v1/jobs/{program.job_id}/{what}"
        for what in ("training", "curves", "log", "files", "files/history.csv", "files.zip")
    ]
    bob, eve = place.script("bob"), place.script("eve", Role.VIEWER)
    for path in paths:
        assert bob.get(path).status_code == 404, path
        assert eve.get(path).status_code == 200, path


def test_a_stream_says_when_a_program_told_something(
    sqlite_place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "POLL_SECONDS", 0.02)
    ada, program = sqlite_place.script(), training(sqlite_place)
    answer = ada.get(f"/api/v1/jobs/{program.job_id}/events", buffered=False)
    blocks = (block.decode() for block in answer.iter_encoded())
    assert "event: training" in "".join(next(blocks) for _ in range(2))
    for change in (
        lambda: program.tells(5),
        lambda: program.says("Hello."),
        lambda: program.leaves("history.csv", "history", b"1"),
    ):
        change()
        assert next(blocks) == "event: training\ndata: {}\n\n"
    program.ends(JobState.CANCELLED)
    assert "cancelled" in "".join(blocks)
