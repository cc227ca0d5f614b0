"""Shell completion, as bash asks for it, and progress that stays out of the way of results."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from tests.core.client.small_service import Answer, in_json, job_answer, small_service

PROGRAM = [sys.executable, "-c", "from core.cli.main import main; main()"]


def complete(line: str) -> list[str]:
    words = line.split(" ")
    answer = subprocess.run(
        PROGRAM,
        cwd=REPOSITORY,
        env={
            **os.environ,
            "_VOICESKETCH_COMPLETE": "complete_bash",
            "COMP_WORDS": line,
            "COMP_CWORD": str(len(words) - 1),
        },
        capture_output=True,
        text=True,
        check=True,
    )
    assert not answer.stderr
    return answer.stdout.split()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("voicesketch mo", ["models"]),
        ("voicesketch jobs re", ["resume", "retry", "rerun", "results"]),
        ("voicesketch jobs retry --w", ["--which", "--wait"]),
        ("voicesketch jobs retry last --which ", ["failed", "cancelled", "unfinished"]),
    ],
)
def test_words_options_and_values_are_completed(line: str, words: list[str]) -> None:
    assert complete(line) == words


def test_the_shell_learns_of_it_from_the_program_itself(tmp_path: Path) -> None:
    command = " ".join(f"'{word}'" for word in [*PROGRAM, "--install-completion"])
    environ = {**os.environ, "HOME": str(tmp_path)}
    subprocess.run(
        ["/bin/bash", "-c", f"{command}; exit $?"],
        cwd=REPOSITORY,
        env=environ,
        check=True,
        capture_output=True,
    )
    (script,) = (tmp_path / ".bash_completions").iterdir()
    assert "_VOICESKETCH_COMPLETE=complete_bash" in script.read_text()
    assert str(script) in (tmp_path / ".bashrc").read_text()


@pytest.mark.parametrize("on_terminal", [True, False])
def test_progress_is_a_bar_on_a_terminal_only_and_never_on_standard_output(on_terminal: bool) -> None:
    states = iter([job_answer("queued", pending=2), job_answer("running", done=1, leased=1)])
    last = job_answer("completed", done=2)

    def answer(asked: object) -> Answer:
        return in_json(next(states, last))

    with small_service(answer) as service:
        command = [*PROGRAM, "jobs", "watch", "job_1", "--json", "--url", service.url, "--token", "t"]
        printed, told = _run_on(command, terminal=on_terminal)
    assert printed.startswith("{\n")
    assert printed.isascii()
    assert ("\x1b[" in told) == on_terminal
    assert on_terminal or told.splitlines()[-1].startswith("completed 2/2")


def _run_on(command: list[str], *, terminal: bool) -> tuple[str, str]:
    """Standard output, which is a pipe, and standard error, which is a terminal or a pipe."""
    environ = {**os.environ, "TERM": "xterm"}
    if not terminal:
        done = subprocess.run(
            command, cwd=REPOSITORY, env=environ, capture_output=True, text=True, check=True
        )
        return done.stdout, done.stderr
    ours, theirs = pty.openpty()
    try:
        with subprocess.Popen(
            command, cwd=REPOSITORY, env=environ, stdout=subprocess.PIPE, stderr=theirs
        ) as child:
            printed, _ = child.communicate(timeout=60)
            assert child.returncode == 0
        return printed.decode(), os.read(ours, 1 << 16).decode()
    finally:
        os.close(ours)
        os.close(theirs)
