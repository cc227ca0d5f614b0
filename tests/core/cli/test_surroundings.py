"""The command where it is not at home: among files of strange names, without room, behind a proxy, interrupted."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import urllib.request
from importlib.metadata import version
from pathlib import Path

import pytest

from core.cli.main import _leave_proxies_out_of_this_machine
from tests.conftest import REPOSITORY
from tests.core.client.small_service import Answer, Asked, in_json, job_answer, small_service
from tests.core.submitting.test_submission import SmallVoicesketch

PROGRAM = [sys.executable, "-P", "-c", "from core.cli.main import main; main()"]


def voicesketch(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*PROGRAM, *arguments],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


def test_it_tells_its_version_and_knows_the_short_word_for_help(tmp_path: Path) -> None:
    assert voicesketch("--version", cwd=tmp_path).stdout == f"voicesketch {version('voicesketch')}\n"
    told = voicesketch("jobs", "list", "-h", cwd=tmp_path)
    assert told.returncode == 0
    assert "--limit" in told.stdout


def test_no_file_of_the_folder_one_is_in_is_taken_for_a_part_of_the_program(tmp_path: Path) -> None:
    for name in ("random.py", "core.py", "worker.py"):
        (tmp_path / name).write_text("raise SystemExit('not me')")
    told = voicesketch("draw", "--help", cwd=tmp_path)
    assert told.returncode == 0, told.stderr
    assert "--device" in told.stdout


def test_output_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    with Path("/dev/full").open("w") as full:
        told = subprocess.run(
            [*PROGRAM, "train", "--list"],
            cwd=tmp_path,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert told.returncode == 2
    assert told.stderr == "The output cannot be written: no space left on device.\n"


def test_a_name_for_which_the_terminal_has_no_letters_is_shown_by_their_numbers(tmp_path: Path) -> None:
    job = {**job_answer("completed", done=1), "name": "Ωmega"}
    with small_service(lambda asked: in_json({"data": [job], "next": None})) as service:
        where = {"VOICESKETCH_URL": service.url, "VOICESKETCH_TOKEN": "t", "PYTHONIOENCODING": "latin-1"}
        told = voicesketch("jobs", "list", cwd=tmp_path, TZ="Asia/Kathmandu", **where)
    assert told.returncode == 0, told.stderr
    # The time is that of this machine's zone, 5 h 45 min ahead of the service's.
    assert told.stdout.splitlines()[1].endswith(" 2026-01-02 08:49  \\u03a9mega")


def test_ctrl_c_is_heard_while_a_service_says_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"a")
    asked_for_it, enough = threading.Event(), threading.Event()

    class Silent(SmallVoicesketch):
        def __call__(self, asked: Asked) -> Answer:
            if asked.method == "PUT":
                asked_for_it.set()
                enough.wait(120)
            return super().__call__(asked)

    with small_service(Silent()) as service:
        program = subprocess.Popen(
            [*PROGRAM, "submit", "a.wav"],
            cwd=tmp_path,
            env={**os.environ, "VOICESKETCH_URL": service.url, "VOICESKETCH_TOKEN": "t"},
            stderr=subprocess.PIPE,
            text=True,
            # Started in the background of a script, the tests would hand on that Ctrl-C is to be ignored.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        try:
            assert asked_for_it.wait(60)
            program.send_signal(signal.SIGINT)
            _, told = program.communicate(timeout=60)
        finally:
            enough.set()
            program.kill()
            program.wait()
    assert program.returncode == 130
    assert told == "Stopped before the job was made: nothing was submitted.\n"


def test_what_is_on_this_machine_is_asked_past_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://proxy.invalid:3128")
    monkeypatch.setenv("no_proxy", "intern.example")
    monkeypatch.setenv("NO_PROXY", "")
    _leave_proxies_out_of_this_machine()
    past = [
        host
        for host in ("127.0.0.1", "localhost", "intern.example", "example.org")
        if urllib.request.proxy_bypass(host)
    ]
    assert past == ["127.0.0.1", "localhost", "intern.example"]


def test_a_demo_without_a_folder_for_its_faces_is_refused_before_anything_starts(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"a")
    (tmp_path / "file").write_text("")
    told = voicesketch("demo", "--in", "a.wav", "--out", "file", "--data", "data", cwd=tmp_path)
    assert told.returncode == 2
    assert told.stderr.startswith("Results cannot be written to 'file': ")
    assert told.stderr.count("\n") == 1
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("begin", ["from core.cli.entry import main", "from core.cli.becoming import main"])
def test_ctrl_c_while_libraries_are_loaded_leaves_no_traceback(tmp_path: Path, begin: str) -> None:
    # A library that is interrupted in the middle: of the command's own, and of the program that a command becomes.
    (tmp_path / "typer.py").write_text("raise KeyboardInterrupt")
    code = f"import sys; sys.argv = ['voicesketch', 'typer']; {begin}; main()"
    told = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (told.returncode, told.stdout, told.stderr) == (130, "", "")
