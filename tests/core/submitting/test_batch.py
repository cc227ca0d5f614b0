"""What `submit` was given: archives, addresses and earlier jobs, and files that go in parts."""

from __future__ import annotations

import hashlib
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from core.cli.submit import app
from core.errors import InvalidRequest, QuotaExceeded
from core.submitting import batch, sending
from core.submitting.batch import sort_given
from core.submitting.submission import submit
from tests.core.client.small_service import Answer, Asked, in_json, job_answer, problem, small_service
from tests.core.submitting.test_submission import SmallVoicesketch, client_of

PART = 10


class LargerVoicesketch(SmallVoicesketch):
    """Takes parts and archives as well, and has three recordings in S3, one to an answer."""

    def __init__(self) -> None:
        super().__init__()
        self.parts: dict[int, bytes] = {}
        self.begun: list[dict[str, Any]] = []
        self.abandoned = 0
        self.posted: dict[str, Any] = {}

    def __call__(self, asked: Asked) -> Answer:
        path, _, _query = asked.path.partition("?")
        if path.startswith("/api/v1/uploads"):
            return self._upload(asked, path)
        if path == "/api/v1/archives":
            return in_json(self._unpacked(asked.body), 201)
        if path == "/api/v1/sources/s3/check":
            return in_json({"url": "", "recordings": 3, "left_out": 1, "size_bytes": 30, "more": False})
        if path == "/api/v1/sources/s3":
            number = int(asked.json()["after"] or 0)
            item = {"key": f"{number}.flac", "name": f"{number}.flac", "recording": "0" * 64}
            after = str(number + 1) if number < 2 else None
            return in_json({"items": [item], "left_out": int(number == 0), "next": after})
        if path == "/api/v1/jobs/job_7":
            return in_json(job_answer("completed_with_errors", done=2, cached=1, failed=1))
        if path == "/api/v1/jobs" and asked.method == "POST":
            self.posted = asked.json()
            made = json.loads(super().__call__(asked).body)
            return in_json({**made, "webhook_secret": "whs" if self.posted.get("webhook_url") else None}, 201)
        return super().__call__(asked)

    def _upload(self, asked: Asked, path: str) -> Answer:
        if asked.method == "DELETE":
            self.abandoned += 1
            return in_json({"id": "up_1"})
        if asked.method == "PUT":
            self.parts[int(path.rsplit("/", 1)[1])] = asked.body
            return in_json({"id": "up_1"})
        whole = b"".join(self.parts[number] for number in sorted(self.parts))
        if path.endswith("/complete"):
            return in_json({"recording": hashlib.sha256(whole).hexdigest()})
        if path.endswith("/unpack"):
            return in_json(self._unpacked(whole))
        self.begun.append(asked.json())
        parts = -(-asked.json()["size_bytes"] // PART)
        return in_json({"id": "up_1", "part_bytes": PART, "parts": parts, "sent": sorted(self.parts)}, 201)

    def _unpacked(self, body: bytes) -> dict[str, Any]:
        items = [{"key": "a.flac", "name": "a.flac", "recording": hashlib.sha256(body).hexdigest()}]
        bad = {"key": "b.flac", "name": "b.flac", "error_code": "encrypted", "error_message": "Locked."}
        return {"items": [*items, bad], "failed": 1, "left_out": 2}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "a.flac").write_bytes(b"a")
    with zipfile.ZipFile(tmp_path / "talks.zip", "w") as archive:
        for name in ("a.flac", "b.flac", "notes.txt"):
            archive.writestr(name, b"x" * 7)
    return tmp_path


def run(url: str, *arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [*map(str, arguments), "--url", url, "--token", "t"])


def test_archives_and_addresses_are_told_from_paths(folder: Path) -> None:
    missing = folder / "missing.zip"
    given = sort_given([folder, str(folder / "talks.zip"), "s3://bucket/voices", str(missing)])
    assert given.archives == (folder / "talks.zip",)
    assert given.addresses == ("s3://bucket/voices",)
    assert given.paths == (folder, missing)


def test_files_archives_and_addresses_become_one_job_with_keys_of_their_own(folder: Path) -> None:
    here = LargerVoicesketch()
    with small_service(here) as service:
        given: list[str | Path] = ["s3://bucket/voices/", folder / "talks.zip", folder / "a.flac"]
        job, made = submit(client_of(service.url), given)
    keys = [item["key"] for item in here.posted["items"]]
    assert keys == ["a.flac", "a.flac#2", "b.flac", "0.flac", "1.flac", "2.flac"]
    assert here.posted["items"][2]["error_code"] == "encrypted"
    assert (job.total, made.left_out, here.posted["name"]) == (6, 3, "voices and 2 more")


def test_what_the_service_would_refuse_is_told_before_anything_is_sent(folder: Path) -> None:
    here = LargerVoicesketch()
    here.refusal = "2 of your jobs have not ended yet, and 2 are the most for you."
    with small_service(here) as service, pytest.raises(QuotaExceeded, match="2 are the most"):
        submit(client_of(service.url), [folder / "talks.zip", folder / "a.flac"])
    (asked,) = [one.path for one in service.asked if "/models/" not in one.path]
    assert asked.startswith("/api/v1/estimate?") and "items=3" in asked


def test_large_files_and_archives_go_on_with_the_parts_that_are_missing(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (sending, batch):
        monkeypatch.setattr(module, "ONE_PIECE_BYTES", PART)
    large = bytes(range(35))
    (folder / "large.flac").write_bytes(large)
    here = LargerVoicesketch()
    here.parts[2] = large[10:20]
    with small_service(here) as service:
        submit(client_of(service.url), [folder / "large.flac"])
    sha256 = hashlib.sha256(large).hexdigest()
    assert here.posted["items"][0]["recording"] == sha256
    assert here.begun == [
        {"name": "large.flac", "size_bytes": 35, "fingerprint": sha256, "archive": False},
    ]
    sent = [asked.path.rsplit("/", 1)[1] for asked in service.asked if "/parts/" in asked.path]
    assert sent == ["1", "3", "4"]

    here = LargerVoicesketch()
    with small_service(here) as service:
        submit(client_of(service.url), [folder / "talks.zip"])
    packed = (folder / "talks.zip").read_bytes()
    assert here.posted["items"][0]["recording"] == hashlib.sha256(packed).hexdigest()
    assert here.begun[0]["archive"] is True
    assert here.abandoned == 1


def test_the_recordings_of_an_earlier_job_are_submitted_with_nothing_sent(folder: Path) -> None:
    here = LargerVoicesketch()
    with small_service(here) as service:
        assert run(service.url, "--job", "job_7", "--which", "failed", "--name", "again").exit_code == 0
        assert (here.posted["source"], here.posted["items"]) == ({"job": "job_7", "which": "failed"}, [])
        for wrong in ((folder, "--job", "job_7"), ()):
            assert run(service.url, *wrong).exit_code == 2
    assert not [asked for asked in service.asked if asked.method == "PUT"]


def test_the_secret_of_a_note_is_printed_once_for_people_and_for_scripts(folder: Path) -> None:
    here = LargerVoicesketch()
    with small_service(here) as service:
        told = run(service.url, folder / "a.flac", "--webhook", "https://example.org/told")
        assert "told this once: whs" in told.stdout
        assert here.posted["webhook_url"] == "https://example.org/told"
        in_json_form = run(service.url, folder / "a.flac", "--webhook", "https://example.org/told", "--json")
        assert json.loads(in_json_form.stdout)["webhook_secret"] == "whs"
        assert "webhook_secret" not in json.loads(run(service.url, folder / "a.flac", "--json").stdout)


def test_a_dry_run_counts_everything_and_sends_nothing(folder: Path) -> None:
    here = LargerVoicesketch()
    with small_service(here) as service:
        told = run(service.url, folder, folder / "talks.zip", "s3://bucket/voices", "--dry-run", "--json")
        assert told.exit_code == 0, told.stderr
        assert json.loads(told.stdout) == {
            "recordings": 6,
            "more": False,
            "bytes": 1 + 14 + 30,
            "left_out": 3,
            "model": "default@1",
            "seconds": None,
            "estimate": "Not known yet.",
            "cost": None,
            "refused": None,
        }
        words = run(service.url, folder, "--dry-run").stdout
        assert words.splitlines()[0].startswith("1 recording, ")
        assert words.splitlines()[-2:] == ["Not known yet.", "Nothing was submitted."]
        for which, count in (("all", 4), ("failed", 1), ("faces", 3)):
            again = run(service.url, "--job", "job_7", "--which", which, "--dry-run", "--json")
            assert (json.loads(again.stdout)["recordings"], json.loads(again.stdout)["bytes"]) == (
                count,
                None,
            )
    assert not [asked for asked in service.asked if asked.method in ("PUT", "DELETE")]
    assert here.posted == {}


def test_an_address_that_is_not_allowed_and_a_damaged_archive_are_a_sentence(folder: Path) -> None:
    (folder / "torn.zip").write_bytes(b"PK no archive")

    def refuse(asked: Asked) -> Answer:
        return problem(403, "not_allowed", "Jobs may not read from there.")

    with small_service(refuse) as service:
        told = run(service.url, "s3://other/x")
        assert (told.exit_code, "Jobs may not read from there" in told.stderr) == (2, True)
    with small_service(LargerVoicesketch()) as service:
        told = run(service.url, folder / "torn.zip", "--dry-run")
        assert (told.exit_code, "is no ZIP archive" in told.stderr) == (2, True)
        with pytest.raises(InvalidRequest, match="There is no file or folder"):
            submit(client_of(service.url), [folder / "missing.zip"])
