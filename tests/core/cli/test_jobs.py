"""`voicesketch jobs`: each word does what it says, to the job that was named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from core.cli.jobs import app
from tests.core.client.small_service import Answer, Asked, in_json, job_answer, problem, small_service
from tests.core.submitting.test_submission import SmallVoicesketch, png


def run(url: str, *arguments: str | Path) -> Result:
    given = [str(argument) for argument in arguments]
    return CliRunner().invoke(app, [*given, "--url", url, "--token", "t"])


def steered(asked: Asked) -> Answer:
    if asked.path.startswith("/api/v1/jobs?"):
        return in_json({"data": [job_answer("completed", done=2)], "next": None})
    if asked.path.endswith("/retry"):
        return in_json({"retried": 2, "job": job_answer("queued", pending=2)})
    return in_json(job_answer("running", done=1, pending=1))


@pytest.mark.parametrize("word", ["cancel", "pause", "resume"])
def test_a_job_is_steered_by_one_request(word: str) -> None:
    with small_service(steered) as service:
        result = run(service.url, word, "job_1")
    assert result.exit_code == 0
    assert [(asked.method, asked.path) for asked in service.asked] == [("POST", f"/api/v1/jobs/job_1/{word}")]


def test_what_is_retried_is_what_was_asked_for() -> None:
    with small_service(steered) as service:
        assert "2 recordings" in run(service.url, "retry", "job_1").stderr
        run(service.url, "retry", "job_1", "--which", "unfinished")
    assert [asked.json() for asked in service.asked] == [{"which": "failed"}, {"which": "unfinished"}]


def test_last_is_the_newest_job() -> None:
    with small_service(steered) as service:
        run(service.url, "show", "last")
    assert [asked.path for asked in service.asked] == ["/api/v1/jobs?limit=1", "/api/v1/jobs/job_1"]


def test_the_list_can_be_read_by_people_and_by_programs() -> None:
    with small_service(steered) as service:
        table = run(service.url, "list")
        listed = run(service.url, "list", "--json")
    assert table.stdout.splitlines()[1].split()[:3] == ["job_1", "completed", "2/2"]
    assert json.loads(listed.stdout) == [job_answer("completed", done=2)]


def test_a_job_is_watched_to_its_end() -> None:
    states = iter([job_answer("queued", pending=2), job_answer("running", done=1, leased=1)])
    last = job_answer("completed_with_errors", done=1, failed=1)
    with small_service(lambda asked: in_json(next(states, last))) as service:
        result = run(service.url, "watch", "job_1")
    assert result.exit_code == 1
    assert "completed_with_errors: 2/2, 1 failed" in result.stdout


def test_a_download_names_what_it_fetched(tmp_path: Path) -> None:
    with small_service(SmallVoicesketch({"a.png": png(1)})) as service:
        result = run(service.url, "download", "job_1", "--out", tmp_path, "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout) == {
        "out": str(tmp_path),
        "faces": 1,
        "fetched": 1,
        "failed": 0,
        "unfinished": 0,
    }


@pytest.mark.parametrize(
    ("status", "code", "ending"), [(404, "not_found", 2), (409, "conflict", 2), (403, "not_allowed", 2)]
)
def test_a_refusal_is_a_sentence_and_an_exit_code(status: int, code: str, ending: int) -> None:
    with small_service(lambda asked: problem(status, code, "Because.")) as service:
        result = run(service.url, "cancel", "job_1")
    assert (result.exit_code, result.stderr) == (ending, "Because.\n")


def test_a_name_cannot_move_the_cursor() -> None:
    job = job_answer("completed", done=1) | {"name": "\x1b[2J\nnew"}
    with small_service(lambda asked: in_json(job)) as service:
        result = run(service.url, "show", "job_1")
    assert "\x1b" not in result.stdout
    assert result.stdout.startswith("job_1  �[2J�new\n")
