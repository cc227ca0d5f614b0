"""`voicesketch submit`: exit codes, what is printed where, and nothing sent by mistake."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from core.cli.submit import app
from tests.core.client.small_service import Answer, Asked, in_json, job_answer, problem, small_service
from tests.core.submitting.test_submission import SmallVoicesketch, png


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    path = tmp_path / "a.wav"
    path.write_bytes(b"a")
    return path


class Ending(SmallVoicesketch):
    """Every job ends in this way."""

    def __init__(self, state: str, faces: dict[str, bytes] | None = None, **counts: int) -> None:
        super().__init__(faces)
        self.end: dict[str, Any] = job_answer(state, **counts)

    def __call__(self, asked: Asked) -> Answer:
        if asked.method == "GET" and asked.path == "/api/v1/jobs/job_1":
            return in_json(self.end)
        return super().__call__(asked)


def test_without_waiting_it_says_how_to_watch(recording: Path) -> None:
    with small_service(SmallVoicesketch()) as service:
        result = run(recording, "--url", service.url, "--token", "t")
    assert result.exit_code == 0
    assert result.stdout == "1 recording submitted. Watch it: voicesketch jobs watch job_1\n"


def test_options_reach_the_service(recording: Path) -> None:
    with small_service(SmallVoicesketch()) as service:
        where = ("--url", service.url, "--token", "t")
        run(recording, *where, "--model", "default@1", "--name", "voices", "--priority", "-3", "--seed", "7")
    (posted,) = [asked.json() for asked in service.asked if asked.method == "POST"]
    told = (posted["model"], posted["name"], posted["priority"], posted["seed"])
    assert told == ("default@1", "voices", -3, 7)


def test_all_done_is_0_and_some_failed_is_1(recording: Path) -> None:
    for end, code in (
        (Ending("completed", done=1), 0),
        (Ending("completed_with_errors", failed=1), 1),
        (Ending("cancelled", cancelled=1), 1),
    ):
        with small_service(end) as service:
            assert run(recording, "--url", service.url, "--token", "t", "--wait").exit_code == code


def test_json_is_the_only_thing_on_standard_output(recording: Path, tmp_path: Path) -> None:
    end = Ending("completed_with_errors", {"a.png": png(3)}, done=1, cached=1, failed=2)
    end.end["errors"] = [{"code": "no_speech", "count": 2, "example": "The recording is silent."}]
    out = tmp_path / "out"
    with small_service(end) as service:
        result = run(recording, "--url", service.url, "--token", "t", "--out", out, "--json")
    told = json.loads(result.stdout)
    assert result.exit_code == 1
    assert told.pop("seconds") >= 0
    assert told.pop("per_second") > 0
    assert told == {
        "job": "job_1",
        "state": "completed_with_errors",
        "total": 4,
        "done": 2,
        "cached": 1,
        "failed": 2,
        "cancelled": 0,
        "skipped": 0,
        "left_out": 0,
        "errors": [{"code": "no_speech", "count": 2, "example": "The recording is silent."}],
        "out": str(out),
        "results": str(out / "results.csv"),
        "contact_sheet": str(out / "contact_sheet.png"),
    }


def test_wrong_usage_is_2_and_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    manifest = tmp_path / "m.csv"
    manifest.write_text("key,path\na,nowhere.wav\n")
    with small_service(SmallVoicesketch()) as service:
        for path in (tmp_path / "empty", tmp_path / "nowhere", manifest):
            result = run(path, "--url", service.url, "--token", "t")
            assert result.exit_code == 2
            assert result.stdout == ""
            assert "Traceback" not in result.stderr
        assert run("--url", service.url).exit_code == 2
    assert service.asked == []


def test_a_token_that_is_not_accepted_is_2(recording: Path) -> None:
    with small_service(lambda asked: problem(401, "not_allowed", "This token is not known.")) as service:
        result = run(recording, "--url", service.url, "--token", "t")
    assert result.exit_code == 2
    assert result.stderr.endswith("does not know this token, or it has ended; make another one there.\n")


def test_no_service_is_3(recording: Path, tmp_path: Path) -> None:
    result = run(recording, "--data", tmp_path / "nothing")
    assert result.exit_code == 3
    assert result.stderr.strip().endswith("start one with: voicesketch up")


def test_stopped_while_it_waits_it_says_that_the_job_goes_on(recording: Path) -> None:
    with small_service(Ending("running", pending=1)) as service:
        program = subprocess.Popen(
            [sys.executable, "-m", "core.cli.main", "submit", recording, "--wait"],
            env={**os.environ, "VOICESKETCH_URL": service.url, "VOICESKETCH_TOKEN": "t"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # Started in the background of a script, the tests would hand on that Ctrl-C is to be ignored.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        while not any(asked.path == "/api/v1/jobs/job_1" for asked in service.asked):
            assert program.poll() is None
            time.sleep(0.05)
        program.send_signal(signal.SIGINT)
        out, told = program.communicate(timeout=20)
    assert program.returncode == 130
    assert "Traceback" not in told
    assert "The job goes on without you. Watch it: voicesketch jobs watch job_1" in told
    assert "Stop it: voicesketch jobs cancel job_1" in told
    assert out == ""
