"""Tables and archives that people take away."""

from __future__ import annotations

import csv
import io
import json
import zipfile

from pydantic import SecretStr

from dashboard.app import create_app
from tests.dashboard.conftest import SOUND, Place, Script
from tests.fakes import face_picture


def test_the_table_has_every_line_while_the_job_still_runs(place: Place) -> None:
    ada = place.script()
    job_id = ada.job(3)
    place.worker(refuse=lambda item: ("no_speech", "=Silence()") if "0" in item.name else None).step(size=2)
    answer = ada.get(f"/api/v1/jobs/{job_id}/results.csv")
    assert answer.mimetype == "text/csv"
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [row["state"] for row in rows] == ["failed", "done", "pending"]
    assert [row["key"] for row in rows] == ["line 0", "line 1", "line 2"]
    assert rows[0]["error_message"] == "'=Silence()"  # a spreadsheet would run it
    assert rows[1]["face"] == "voice 1.png"
    assert rows[1]["model_version"] == "default@1"
    lines = [json.loads(line) for line in ada.get(f"/api/v1/jobs/{job_id}/results.jsonl").text.splitlines()]
    assert [line["state"] for line in lines] == ["failed", "done", "pending"]


def test_the_archive_holds_the_faces_so_far_under_the_users_names(place: Place) -> None:
    ada = place.script()
    names = ["talk.wav", "../talk.wav", "a/b\\c:d.wav", "late.wav"]
    items = [
        {"key": str(n), "name": name, "recording": ada.send(SOUND + bytes([n]))}
        for n, name in enumerate(names)
    ]
    job_id = ada.submit(items).json["id"]
    place.worker().step(size=3)
    answer = ada.get(f"/api/v1/jobs/{job_id}/faces.zip")
    archive = zipfile.ZipFile(io.BytesIO(answer.data))
    assert archive.testzip() is None
    assert archive.namelist() == ["talk.png", "talk-2.png", "c_d.png", "results.csv"]
    assert all(entry.compress_type == zipfile.ZIP_STORED for entry in archive.infolist())
    assert archive.read("talk-2.png") == face_picture(items[1]["recording"])
    rows = list(csv.DictReader(io.StringIO(archive.read("results.csv").decode())))
    assert [row["face"] for row in rows] == ["talk.png", "talk-2.png", "c_d.png", ""]


def test_a_face_that_left_the_store_is_told_in_the_table_and_stops_nothing(sqlite_place: Place) -> None:
    ada = sqlite_place.script()
    job_id = ada.job(2)
    sqlite_place.worker().run()
    gone = next(key for key in sqlite_place.store.keys("jobs/") if key.endswith(".face.png"))
    sqlite_place.store.delete(gone)
    archive = zipfile.ZipFile(io.BytesIO(ada.get(f"/api/v1/jobs/{job_id}/faces.zip").data))
    assert len(archive.namelist()) == 2
    assert "no longer in the store" in archive.read("results.csv").decode()


def test_a_store_that_is_away_is_told_before_the_download_begins(sqlite_place: Place) -> None:
    ada = sqlite_place.script()
    job_id = ada.job(1)
    sqlite_place.worker().run()
    item = ada.get(f"/api/v1/jobs/{job_id}/items").json["data"][0]
    away = {"s3_endpoint_url": "http://127.0.0.1:1", "s3_secret_key": SecretStr("not-to-be-shown")}
    lonely = Script(create_app(sqlite_place.settings.model_copy(update=away)), ada.token)
    for path in (f"/api/v1/jobs/{job_id}/faces.zip", item["face_url"]):
        answer = lonely.get(path)
        assert (answer.status_code, answer.json["code"]) == (503, "storage_unavailable")
        assert answer.headers["Retry-After"]
        assert "127.0.0.1" not in answer.text
    assert lonely.get(f"/api/v1/jobs/{job_id}/results.csv").status_code == 200
