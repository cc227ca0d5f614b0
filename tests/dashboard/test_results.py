"""Tables and archives that people take away."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import zipfile
from collections.abc import Iterator

import pyarrow.parquet as pq
from pydantic import SecretStr

from core.faces.exports import Result
from core.ledger.database import now
from core.ledger.mark_tables import FaceMark
from dashboard.app import create_app
from dashboard.parquet import parquet_pieces
from dashboard.prefetching import fetched_ahead
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
    assert archive.namelist() == ["talk.png", "talk-2.png", "c_d.png", "results.csv", "manifest.json"]
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
    assert len(archive.namelist()) == 3
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


def test_a_selection_is_an_archive_of_just_these_under_the_names_they_have_among_all(place: Place) -> None:
    ada = place.script()
    items = [{"key": str(n), "name": "talk.wav", "recording": ada.send(SOUND + bytes([n]))} for n in range(4)]
    job_id = ada.submit(items).json["id"]
    place.worker().run()
    ids = [item["id"] for item in ada.get(f"/api/v1/jobs/{job_id}/items").json["data"]]
    path = f"/api/v1/jobs/{job_id}/faces.zip"
    archive = zipfile.ZipFile(io.BytesIO(ada.post(path, json={"items": [ids[3], ids[1]]}).data))
    assert archive.namelist() == ["talk-2.png", "talk-4.png", "results.csv", "manifest.json"]
    manifest = json.loads(archive.read("manifest.json"))
    assert manifest["job"] == job_id and "AI-generated" in manifest["notice"]
    for entry in manifest["faces"]:
        assert hashlib.sha256(archive.read(entry["file"])).hexdigest() == entry["sha256"]
    assert [entry["item"] for entry in manifest["faces"]] == [ids[1], ids[3]]
    other = ada.job(1)
    stranger = ada.get(f"/api/v1/jobs/{other}/items").json["data"][0]["id"]
    for wrong, status in (([stranger], 404), ([2**62], 404), ([], 400), (["x"], 400)):
        assert ada.post(path, json={"items": wrong}).status_code == status
    assert place.script("bob").post(path, json={"items": ids}).status_code == 404


def test_an_archive_can_be_narrowed_to_favourites_and_to_states(sqlite_place: Place) -> None:
    ada = sqlite_place.script()
    job_id = ada.job(3)
    sqlite_place.worker(refuse=lambda item: ("no_speech", "Silence.") if "0" in item.name else None).run()
    starred = ada.get(f"/api/v1/jobs/{job_id}/items").json["data"][2]["id"]
    with sqlite_place.database.write() as session:
        mark = {"by": sqlite_place.users["ada"].id, "at": now(session), "favourite": True}
        session.add(FaceMark(item_id=starred, job_id=job_id, **mark))

    def table(query: str) -> list[dict[str, str]]:
        archive = zipfile.ZipFile(io.BytesIO(ada.get(f"/api/v1/jobs/{job_id}/faces.zip?{query}").data))
        return list(csv.DictReader(io.StringIO(archive.read("results.csv").decode())))

    assert [row["face"] for row in table("favourites=true")] == ["voice 2.png"]
    assert [row["face"] for row in table("state=done")] == ["voice 1.png", "voice 2.png"]
    assert [row["error_code"] for row in table("state=failed")] == ["no_speech"]
    assert ada.get(f"/api/v1/jobs/{job_id}/faces.zip?state=lost").status_code == 400
    failed = ada.get(f"/api/v1/jobs/{job_id}/errors.jsonl").text.splitlines()
    assert [json.loads(line)["error_message"] for line in failed] == ["Silence."]


def test_the_table_comes_as_parquet_too(sqlite_place: Place) -> None:
    ada = sqlite_place.script()
    job_id = ada.job(2)
    sqlite_place.worker().step(size=1)
    answer = ada.get(f"/api/v1/jobs/{job_id}/results.parquet")
    assert answer.mimetype == "application/vnd.apache.parquet"
    rows = pq.read_table(io.BytesIO(answer.data)).to_pylist()
    assert [(row["recording"], row["state"], row["face"]) for row in rows] == [
        ("voice 0.flac", "done", "voice 0.png"),
        ("voice 1.flac", "pending", None),
    ]
    assert rows[0]["seconds"] == 0.05


def test_a_parquet_file_of_many_lines_is_sent_group_by_group() -> None:
    lines = (
        Result(f"{n}.wav", str(n), "done", "", "", "default@1", n / 2, f"{n}.png") for n in range(25_000)
    )
    pieces = list(parquet_pieces(lines))
    assert len(pieces) == 4  # three groups and the end
    file = pq.ParquetFile(io.BytesIO(b"".join(pieces)))
    assert [file.metadata.row_group(n).num_rows for n in range(3)] == [10_000, 10_000, 5_000]
    assert file.read(columns=["seconds"])["seconds"][24_999].as_py() == 12_499.5


def test_faces_are_fetched_ahead_only_so_far(sqlite_place: Place) -> None:
    store = sqlite_place.store
    for n in range(40):
        store.put(f"some/{n}", bytes([n]), "image/png")
    asked: list[int] = []

    def wanted() -> Iterator[tuple[int, str | None, int]]:
        for n in range(60):
            asked.append(n)
            yield n, f"some/{n}" if n != 7 else None, 2**20 if n >= 20 else 1

    arrived = fetched_ahead(store, wanted())
    assert next(arrived) == (0, b"\x00")
    assert len(asked) <= 17
    rest = list(arrived)
    assert [n for n, _ in rest] == list(range(1, 60))
    assert rest[6] == (7, None) and rest[38] == (39, bytes([39])) and rest[39] == (40, None)
