"""Submitting, waiting and downloading, against a small service that does as it is told."""

from __future__ import annotations

import hashlib
import io
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from core.client import Client
from core.client_views import JobView
from core.errors import InvalidRequest, ServiceUnreachable
from core.progress import Lines, duration
from core.states import JobState
from core.submitting.downloads import download
from core.submitting.submission import submit, submit_and_wait, wait
from tests.core.client.small_service import Answer, Asked, in_json, job_answer, problem, small_service
from tests.core.client.test_client import QUICK


def png(shade: int) -> bytes:
    data = io.BytesIO()
    Image.new("RGB", (8, 8), (shade, shade, shade)).save(data, "PNG")
    return data.getvalue()


class SmallVoicesketch:
    """Takes recordings and has the faces of some, all at once."""

    def __init__(self, faces: dict[str, bytes] | None = None) -> None:
        self.faces = faces or {}
        self.recordings: set[str] = set()
        self.items: list[dict[str, Any]] = []
        self.has_etags = True
        self.refusal: str | None = None

    def __call__(self, asked: Asked) -> Answer:
        path = asked.path.partition("?")[0]
        if asked.method == "HEAD":
            known = path.rsplit("/", 1)[1] in self.recordings
            return Answer(200) if known else problem(404, "not_found", "no")
        if asked.method == "PUT":
            if len(asked.body) > 100:
                return problem(413, "too_large", "This recording is larger than 100 bytes.")
            sha256 = hashlib.sha256(asked.body).hexdigest()
            self.recordings.add(sha256)
            return in_json({"recording": sha256})
        if asked.method == "POST":
            self.items = asked.json()["items"]
            return in_json(job_answer("queued", pending=len(self.items)), 201)
        if path.endswith("/items"):
            return in_json({"data": [self._row(n, face) for n, face in enumerate(self.faces)], "next": None})
        if path == "/api/v1/estimate":
            refused = {"refused": self.refusal, "refused_code": self.refusal and "quota_exceeded"}
            return in_json({"model": "default@1", "seconds": None, "sentence": "Not known yet.", **refused})
        if path.endswith("/results.csv"):
            return Answer(200, b"recording,key\r\n")
        if path.startswith("/api/v1/models/"):
            # Here a model called `mirror` draws from pictures, every other one from voices.
            return in_json({"label": "any@1", "input": "face" if path.endswith("mirror") else "voice"})
        if path.startswith("/faces/"):
            return self._face(asked, self.faces[path.removeprefix("/faces/")])
        return in_json(job_answer("completed", done=len(self.items)))

    def _row(self, position: int, name: str) -> dict[str, Any]:
        return {
            "id": position,
            "position": position,
            "key": name,
            "name": name,
            "state": "done",
            "error": None,
            "attempts": 1,
            "face_name": name,
            "face_url": f"/faces/{name}",
        }

    def _face(self, asked: Asked, face: bytes) -> Answer:
        etag = f'"{hashlib.sha256(face).hexdigest()}"'
        if self.has_etags and asked.headers.get("If-None-Match") == etag:
            return Answer(304)
        return Answer(200, face, {"ETag": etag})


def client_of(url: str) -> Client:
    return Client(url, "vs_secret", retries=QUICK)


def test_what_the_service_has_is_not_sent_again(tmp_path: Path) -> None:
    for name in ("a.wav", "b.wav", "copy of a.wav"):
        (tmp_path / name).write_bytes(name[-5:].encode())
    here = SmallVoicesketch()
    here.recordings.add(hashlib.sha256(b"b.wav").hexdigest())
    with small_service(here) as service:
        job, _ = submit(client_of(service.url), [tmp_path])
    sent = {asked.body for asked in service.asked if asked.method == "PUT"}
    assert sent == {b"a.wav"}
    assert job.total == 3
    assert [item["key"] for item in here.items] == ["a.wav", "b.wav", "copy of a.wav"]
    assert here.items[0]["recording"] == here.items[2]["recording"]


def test_a_file_that_cannot_be_sent_becomes_an_item_with_its_reason(tmp_path: Path) -> None:
    (tmp_path / "good.wav").write_bytes(b"good")
    (tmp_path / "huge.wav").write_bytes(b"x" * 101)
    (tmp_path / "gone.wav").symlink_to(tmp_path / "nowhere")
    here = SmallVoicesketch()
    with small_service(here) as service:
        submit(client_of(service.url), [tmp_path])
    codes = {item["key"]: item.get("error_code") for item in here.items}
    assert codes == {"gone.wav": "unreadable_file", "good.wav": None, "huge.wav": "too_large"}
    assert all(item["error_message"] for item in here.items if "error_code" in item)


def test_nothing_is_sent_where_there_is_nothing_to_draw_or_nowhere_to_write(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "a.wav").write_bytes(b"a")
    with small_service(SmallVoicesketch()) as service:
        client = client_of(service.url)
        with pytest.raises(InvalidRequest, match="no recording"):
            submit_and_wait(client, [tmp_path / "empty"], tmp_path / "out", progress=False)
        with pytest.raises(InvalidRequest, match="cannot be written"):
            submit_and_wait(client, [tmp_path / "a.wav"], tmp_path / "a.wav" / "out", progress=False)
    assert service.asked == []


def test_what_the_service_would_refuse_in_the_end_is_refused_before_anything_is_sent(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"a")
    with small_service(SmallVoicesketch()) as service:
        client = client_of(service.url)
        with pytest.raises(InvalidRequest, match="at most 200 characters"):
            submit(client, [tmp_path], name="n" * 201)
        with pytest.raises(InvalidRequest, match="begins with https:// or http://"):
            submit(client, [tmp_path], webhook_url="ftp://example.org")
    assert service.asked == []


def test_a_job_is_called_after_its_folder_as_far_as_a_name_reaches(tmp_path: Path) -> None:
    folder = tmp_path / ("f" * 250)
    folder.mkdir()
    (folder / "a.wav").write_bytes(b"a")
    (tmp_path / "b.wav").write_bytes(b"b")
    with small_service(SmallVoicesketch()) as service:
        submit(client_of(service.url), [folder])
        submit(client_of(service.url), [folder, tmp_path / "b.wav"])
    names = [asked.json()["name"] for asked in service.asked if asked.method == "POST"]
    assert names == ["f" * 200, "f" * 189 + " and 1 more"]


def test_waiting_outlives_a_restart_of_the_service() -> None:
    with small_service(lambda asked: in_json(job_answer("running", pending=1))) as service:
        port = int(service.url.rsplit(":", 1)[1])
        answers: list[JobView] = []
        client = client_of(service.url)
        waiting = threading.Thread(target=lambda: answers.append(wait(client, "job_1")), daemon=True)
        waiting.start()
        while not service.asked:
            time.sleep(0.01)
    time.sleep(0.5)
    with small_service(lambda asked: in_json(job_answer("completed", done=1)), port):
        waiting.join(60)
    assert [job.state for job in answers] == [JobState.COMPLETED]


def test_patience_has_an_end() -> None:
    with small_service(lambda asked: Answer(503)) as service, pytest.raises(ServiceUnreachable):
        wait(client_of(service.url), "job_1", patience_seconds=0.3)


def test_a_download_is_resumed_and_fetches_only_what_is_missing_or_different(tmp_path: Path) -> None:
    here = SmallVoicesketch({"a.png": png(1), "b.png": png(2), "c.png": png(3)})
    with small_service(here) as service:
        client = client_of(service.url)
        first = download(client, "job_1", tmp_path)
        (tmp_path / "a.png").unlink()
        (tmp_path / "b.png").write_bytes(png(2)[:-1])
        second = download(client, "job_1", tmp_path)
        here.has_etags = False
        third = download(client, "job_1", tmp_path)
    assert [got.fetched for got in (first, second, third)] == [3, 2, 0]
    assert {name: (tmp_path / name).read_bytes() for name in here.faces} == here.faces
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "a.png",
        "b.png",
        "c.png",
        "contact_sheet.png",
        "results.csv",
    ]


@pytest.mark.parametrize(
    "name", ["../evil.png", "/tmp/evil.png", "a/b.png", ".bashrc", "results.csv", "x\n.png"]
)
def test_a_service_cannot_choose_where_we_write(tmp_path: Path, name: str) -> None:
    out = tmp_path / "deep" / "out"
    with (
        small_service(SmallVoicesketch({name: png(1)})) as service,
        pytest.raises(InvalidRequest, match="no safe file name"),
    ):
        download(client_of(service.url), "job_1", out)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_elsewhere_than_on_a_terminal_progress_is_a_line_now_and_then() -> None:
    stream = io.StringIO()
    lines = Lines(stream, every_seconds=1000)
    with lines:
        for done in range(1, 101):
            lines.step("sending", done, 100)
        for done in range(50):
            lines.job(JobView.read(job_answer("running", done=done, pending=50 - done)))
        lines.job(JobView.read(job_answer("completed_with_errors", done=49, failed=1)))
    assert stream.getvalue().splitlines() == [
        "sending 1/100",
        "sending 100/100",
        "completed_with_errors 50/50, 1 failed",
    ]


def test_time_left_is_said_as_people_say_it() -> None:
    said = [duration(seconds) for seconds in (0.4, 59, 61, 3599, 3600, 12_000)]
    assert said == ["0 s", "59 s", "1 min", "1 h", "1 h", "3 h 20 min"]


def test_a_model_that_draws_from_pictures_gets_the_pictures_of_a_folder(tmp_path: Path) -> None:
    for name in ("a.wav", "b.JPG", "c.png", "notes.txt", ".hidden.png"):
        (tmp_path / name).write_bytes(name.encode())
    with small_service(SmallVoicesketch()) as service:
        client = Client(service.url, "t")
        _, faces = submit(client, [tmp_path], model="mirror")
        _, voices = submit(client, [tmp_path], model="default@1")
    assert [item.name for item in faces.items] == ["b.JPG", "c.png"]
    assert faces.left_out == 3
    assert [item.name for item in voices.items] == ["a.wav"]
