"""Datasets over the API, the shell and the pages: asked for, prepared by a real worker, looked at, fetched."""

from __future__ import annotations

import hashlib
import json
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result
from werkzeug.serving import WSGIRequestHandler, make_server

from core.cli.datasets import app as datasets_command
from core.cli.prepare import app as prepare_command
from core.datasets.plan import Plan
from core.ledger.database import now
from core.ledger.tables import ModelVersion
from core.objects import dataset_plan_key
from core.people.accounts import Role
from dashboard.words import LAYOUT_WORDS
from tests.dashboard.conftest import Place
from tests.dashboard.people import people_files, send_files, work, write_people

SMALL = {"voice": {"features": ["waveform"], "waveform_seconds": 0.5}, "face": {"size": 32}}


def wish(files: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    return {"name": "people", "recipe": SMALL, "files": files, **more}


def test_a_dataset_is_asked_for_prepared_shown_and_fetched(place: Place, tmp_path: Path) -> None:
    ada = place.script("ada")
    files = [*send_files(ada, people_files()), {"path": "notes.txt"}]
    split = {"train": 0.6, "validation": 0.2, "test": 0.2, "by": ["gender"]}
    answer = ada.post("/api/v1/datasets", json=wish(files, recipe={**SMALL, "split": split}))
    assert answer.status_code == 201, answer.text
    job = answer.json
    assert (job["kind"], job["dataset"], job["model"]) == ("prepare", "people", "")
    assert job["request_counts"]["total"] == 4
    assert "Preparing" not in place.browser("ada").get(f"/jobs/{job['id']}").text

    work(place, tmp_path / "cache")
    done = ada.get(f"/api/v1/jobs/{job['id']}").json
    assert (done["state"], done["dataset"]) == ("completed", "people@1")

    (listed,) = ada.get("/api/v1/datasets").json["data"]
    assert (listed["label"], listed["summary"]["people"], listed["job"]) == ("people@1", 10, job["id"])
    shown = ada.get("/api/v1/datasets/people").json
    assert shown["sha256"] == listed["sha256"]
    for file in shown["files"]:
        content = ada.get(file["url"])
        assert hashlib.sha256(content.data).hexdigest() == file["sha256"]
    described = json.loads(ada.get("/api/v1/datasets/people@1/files/dataset.json").data)
    assert described["layout"] == "manifest"
    assert {name: part["people"] for name, part in described["counts"]["by_split"].items()} == {
        "train": 6,
        "validation": 2,
        "test": 2,
    }
    page = place.browser("ada").get("/datasets/people@1")
    assert page.status_code == 200
    for text in ("people@1", "no_pair", "alone/voice.wav", "p0/broken.wav", "report/split.png", "female"):
        assert text in page.text
    job_page = place.browser("ada").get(f"/jobs/{job['id']}").text
    assert "/datasets/people@1" in job_page
    assert "the dataset version" in job_page.lower()
    assert "faces.zip" not in job_page
    assert "people@1" in place.browser("ada").get("/datasets").text
    assert "dataset people@1" in place.browser("ada").get("/jobs").text


def test_the_same_wish_is_the_same_version_and_one_key_is_one_job(
    sqlite_place: Place, tmp_path: Path
) -> None:
    ada = sqlite_place.script("ada")
    body = wish(send_files(ada, people_files(4)))
    key = {"Idempotency-Key": "once"}
    first, again = (ada.post("/api/v1/datasets", json=body, headers=key).json["id"] for _ in range(2))
    assert first == again
    work(sqlite_place, tmp_path / "cache")
    second = ada.post("/api/v1/datasets", json={**body, "files": body["files"][::-1]}).json["id"]
    assert second != first
    work(sqlite_place, tmp_path / "cache")
    assert ada.get(f"/api/v1/jobs/{second}").json["dataset"] == "people@1"
    assert len(ada.get("/api/v1/datasets").json["data"]) == 1


def test_what_somebody_may_not_see_is_not_there(sqlite_place: Place, tmp_path: Path) -> None:
    ada = sqlite_place.script("ada")
    ada.post("/api/v1/datasets", json=wish(send_files(ada, people_files(4))))
    work(sqlite_place, tmp_path / "cache")
    bob, watcher = sqlite_place.script("bob"), sqlite_place.script("eve", Role.VIEWER)
    assert bob.get("/api/v1/datasets").json["data"] == []
    for path in ("/api/v1/datasets/people@1", "/api/v1/datasets/people/files/dataset.json"):
        assert bob.get(path).status_code == 404
        assert watcher.get(path).status_code == 200
    assert sqlite_place.browser("bob").get("/datasets/people@1").status_code == 404
    assert "No datasets yet" in sqlite_place.browser("bob").get("/datasets").text
    for path in ("people@2", "people@x", "people@", "nothing"):
        wanted = 200 if path == "people@" else 404
        assert ada.get(f"/api/v1/datasets/{path}").status_code == wanted
    assert ada.get("/api/v1/datasets/people@1/files/shards/9.tar").status_code == 404


def test_a_file_of_somebody_else_cannot_be_used(sqlite_place: Place) -> None:
    theirs = send_files(sqlite_place.script("ada"), people_files(3))
    answer = sqlite_place.script("bob").post("/api/v1/datasets", json=wish(theirs))
    assert answer.status_code == 400
    assert "were never sent" in answer.json["detail"]


def test_viewers_prepare_nothing_and_priority_is_for_operators(sqlite_place: Place) -> None:
    assert sqlite_place.script("eve", Role.VIEWER).post("/api/v1/datasets", json=wish([])).status_code == 403
    ada = sqlite_place.script("ada")
    assert ada.post("/api/v1/datasets", json=wish([], priority=5)).status_code == 403
    assert sqlite_place.browser("eve", Role.VIEWER).get("/datasets/new").status_code == 403


def test_wishes_that_cannot_be_fulfilled_are_refused_in_a_sentence(sqlite_place: Place) -> None:
    ada = sqlite_place.script("ada")
    files = send_files(ada, people_files(2))
    embedding = {"outputs": ["embedding"]}
    slips: list[tuple[dict[str, Any], str]] = [
        ({"files": [files[0], {"path": "a/b.wav"}], "layout": "folders"}, "nothing to prepare"),
        ({"files": [*files, {"path": "x.csv"}], "layout": "manifest", "manifest": "x.csv"}, "was not sent"),
        ({"files": []}, "nothing to prepare"),
        ({"layout": "heap"}, "There is no layout 'heap'"),
        ({"name": "no spaces"}, "name: String should match pattern"),
        ({"recipe": {"voice": None, "face": None}}, "prepares nothing"),
        ({"recipe": {"split": {"train": 0.5}}}, "must add up to 1"),
        ({"recipe": {"split": {"by": ["shoe size"]}}}, "Nobody has the attribute 'shoe size'"),
        ({"recipe": {"face": embedding}}, "embeddings need an encoder"),
        ({"recipe": {"face": {**embedding, "encoder": "default@1"}}}, "does not encode faces"),
        ({"recipe": {"face": {**embedding, "encoder": "nobody"}}}, "There is no model 'nobody'"),
        ({"columns": {"face": "portrait"}}, "no column 'portrait'"),
        ({"colour": "red"}, "colour"),
    ]
    for more, said in slips:
        answer = ada.post("/api/v1/datasets", json={**wish(files), **more})
        assert (answer.status_code, said in answer.json["detail"]) == (400, True), answer.text
    assert ada.get("/api/v1/jobs").json["data"] == []


def test_paths_that_lead_elsewhere_are_refused(sqlite_place: Place) -> None:
    ada = sqlite_place.script("ada")
    files = send_files(ada, people_files(2))
    for path in ("../up.wav", "/etc/passwd", "a/../b.wav", "C:\\a.wav", "a//b.wav"):
        answer = ada.post("/api/v1/datasets", json=wish([*files, {**files[0], "path": path}]))
        assert (answer.status_code, path in answer.json["detail"].replace("\\\\", "\\")) == (400, True)
        assert "no paths inside a folder" in answer.json["detail"]


def test_more_files_than_a_job_may_have_are_refused(sqlite_place: Place) -> None:
    files = [{"path": f"p{n}/a.wav", "recording": "0" * 64} for n in range(100_001)]
    answer = sqlite_place.script("ada").post("/api/v1/datasets", json=wish(files))
    assert answer.status_code == 400
    assert "at most 100,000 files" in answer.json["detail"]


def test_an_encoder_is_settled_when_the_job_is_made(sqlite_place: Place) -> None:
    with sqlite_place.database.write() as session:
        session.add(
            ModelVersion(
                id="model_eyes_3",
                name="eyes",
                version=3,
                sha256="1" * 64,
                files=[],
                config={"part": "encoder", "input": "face"},
                created_at=now(session),
            )
        )
    ada = sqlite_place.script("ada")
    recipe = {"voice": None, "face": {"outputs": ["embedding"], "encoder": "eyes"}}
    job = ada.post("/api/v1/datasets", json=wish(send_files(ada, people_files(2)), recipe=recipe)).json
    with sqlite_place.database.read() as session:
        from core.ledger.tables import Job

        row = session.get(Job, job["id"])
        assert row is not None
        plan = Plan.from_bytes(sqlite_place.store.get(dataset_plan_key(row.spec["plan_sha256"])))
    assert plan.recipe.face is not None
    assert plan.recipe.face.encoder == "eyes@3"
    assert "eyes@3" in sqlite_place.browser("ada").get("/datasets/new").text


def test_the_form_offers_every_layout(sqlite_place: Place) -> None:
    page = sqlite_place.browser("ada").get("/datasets/new").text
    assert all(f'value="{name}"' in page for name in LAYOUT_WORDS)


def test_the_list_goes_on_with_a_cursor(sqlite_place: Place, tmp_path: Path) -> None:
    ada = sqlite_place.script("ada")
    files = send_files(ada, people_files(3))
    for name in ("one", "two", "three"):
        assert ada.post("/api/v1/datasets", json=wish(files, name=name)).status_code == 201
    work(sqlite_place, tmp_path / "cache")
    first = ada.get("/api/v1/datasets?limit=2").json
    rest = ada.get(f"/api/v1/datasets?limit=2&before={first['next']}").json
    assert [row["name"] for row in first["data"] + rest["data"]] == ["three", "two", "one"]
    assert rest["next"] is None


class _Quiet(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: Any) -> None:
        pass


@pytest.fixture
def served(sqlite_place: Place) -> Iterator[tuple[Place, list[str]]]:
    """A place behind HTTP, and the options by which commands find it."""
    server = make_server("127.0.0.1", 0, sqlite_place.app, threaded=True, request_handler=_Quiet)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    where = ["--url", f"http://127.0.0.1:{server.server_port}", "--token", sqlite_place.script("ada").token]
    yield sqlite_place, where
    server.shutdown()
    thread.join()
    server.server_close()


def run(command: Any, *arguments: str | Path) -> Result:
    return CliRunner().invoke(command, [str(argument) for argument in arguments])


def test_the_shell_prepares_a_folder_and_fetches_what_came_of_it(
    served: tuple[Place, list[str]], tmp_path: Path
) -> None:
    place, where = served
    folder = write_people(tmp_path / "people", 4)
    (folder / "notes.md").write_text("not a medium")
    options = ["--voice", "waveform", "--waveform-seconds", "0.5", "--size", "32"]
    made = run(prepare_command, folder, *options, *where, "--json")
    assert made.exit_code == 0, made.output
    job = json.loads(made.stdout)
    assert job["dataset"] == "people"
    work(place, tmp_path / "cache")

    assert "people@1" in run(datasets_command, "list", *where).stdout
    shown = run(datasets_command, "show", "people", *where).stdout
    assert "1 left out: not_audio" in shown
    out = tmp_path / "out"
    first = run(datasets_command, "download", "people", "--out", out, *where, "--json")
    assert first.exit_code == 0, first.output
    got = json.loads(first.stdout)
    assert hashlib.sha256((out / "dataset.json").read_bytes()).hexdigest() == got["sha256"]
    # What was not sent is told all the same.
    report = json.loads((out / "report.json").read_bytes())
    assert {one["key"]: one["reason"] for one in report["rejects"]} == {
        "notes.md": "not_media",
        "p0/broken.wav": "not_audio",
        "alone/voice.wav": "no_pair",
    }
    (out / "shards" / "00000.tar").write_bytes(b"damaged")
    (out / "index.jsonl").unlink()
    again = json.loads(run(datasets_command, "download", "people", "--out", out, *where, "--json").stdout)
    assert again["fetched"] == 2
    described = json.loads((out / "dataset.json").read_bytes())
    shard = described["shards"][0]
    assert hashlib.sha256((out / shard["file"]).read_bytes()).hexdigest() == shard["sha256"]

    other = tmp_path / "other"
    other.mkdir()
    (other / "dataset.json").write_text("{}")
    refused = run(datasets_command, "download", "people", "--out", other, *where)
    assert refused.exit_code == 2
    assert "holds another dataset" in refused.stderr
    shutil.rmtree(out)


def test_a_dataset_that_is_not_there_is_told(served: tuple[Place, list[str]], tmp_path: Path) -> None:
    _, where = served
    result = run(datasets_command, "download", "nothing", "--out", tmp_path / "x", *where)
    assert (result.exit_code, result.stderr) == (2, "There is no dataset 'nothing'.\n")
    assert "There is no dataset yet" in run(datasets_command, "list", *where).stdout
