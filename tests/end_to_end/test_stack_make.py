"""`make` on a machine that is not ready for it: one clear sentence, and no half-made environment."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="there is no make here")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The files that setting up reads, in a folder with a space in its name."""
    folder = tmp_path / "a checkout"
    folder.mkdir()
    for name in ("Makefile", "pyproject.toml", "requirements.lock", "requirements-dev.lock"):
        shutil.copy(REPOSITORY / name, folder / name)
    return folder


def make(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """From somewhere else, as `make -C` allows, and without what an outer make may have exported."""
    environ = {
        name: value for name, value in os.environ.items() if not name.startswith("MAKE") and name != "MFLAGS"
    }
    return subprocess.run(
        ["make", "--no-print-directory", "-C", str(folder), *arguments],
        cwd="/",
        env=environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def python_that(folder: Path, body: str) -> str:
    program = folder / "python"
    program.write_text(f"#!/bin/sh\n{body}\n")
    program.chmod(0o755)
    return f"PYTHON={program}"


def told(answer: subprocess.CompletedProcess[str]) -> str:
    """What make printed, less its own last word."""
    lines = [line for line in answer.stderr.splitlines() if not line.startswith("make")]
    assert len(lines) == 1, answer.stderr
    return lines[0]


def test_a_missing_python_is_said_in_one_sentence(checkout: Path) -> None:
    answer = make(checkout, "demo", "PYTHON=python3.99")
    assert answer.returncode != 0
    assert told(answer).startswith("python3.99 is missing: install Python 3.11 or newer")
    assert not (checkout / ".venv").exists()


def test_an_old_python_is_said_in_one_sentence(checkout: Path, tmp_path: Path) -> None:
    old = python_that(tmp_path, 'case "$1" in -V) echo "Python 3.9.2";; *) exit 1;; esac')
    answer = make(checkout, "up", old)
    assert answer.returncode != 0
    assert "Python 3.11 to 3.14 is needed" in told(answer)
    assert "is Python 3.9.2: name another, as in make PYTHON=python3.12." in told(answer)
    assert not (checkout / ".venv").exists()


def test_a_missing_venv_module_is_said_in_one_sentence(checkout: Path, tmp_path: Path) -> None:
    without = python_that(tmp_path, 'case "$2" in *ensurepip*) exit 1;; *) exit 0;; esac')
    answer = make(checkout, "test", without)
    assert answer.returncode != 0
    assert "install python3-venv (Debian, Ubuntu: apt install python3-venv)." in told(answer)
    assert not (checkout / ".venv").exists()


def test_help_lists_every_target_that_has_a_description(checkout: Path) -> None:
    answer = make(checkout)
    assert answer.returncode == 0
    for target in ("demo", "up", "test", "check", "fix", "bench", "lock", "clean"):
        assert f"\n  {target} " in answer.stdout


@pytest.mark.parametrize("target", ["demo", "up", "check"])
def test_once_set_up_make_goes_straight_to_the_command(checkout: Path, target: str) -> None:
    """Stamps that are newer than the lock files stand for an installation."""
    programs = checkout / ".venv" / "bin"
    programs.mkdir(parents=True)
    for name in (".made", ".runtime", ".dev"):
        (checkout / ".venv" / name).touch()
    for name in ("voicesketch", "ruff", "mypy", "lint-imports", "alembic"):
        (programs / name).write_text('#!/bin/sh\nprintf "[%s]" "$(basename "$0")" "$@"; echo\n')
        (programs / name).chmod(0o755)
    answer = make(checkout, target, "IN=/some folder/it's here", "OUT=out folder")
    assert answer.returncode == 0, answer.stderr
    if target == "demo":
        assert (
            "[--in][/some folder/it's here][--out][out folder][--data][./voicesketch-data]" in answer.stdout
        )
    if target == "check":
        assert answer.stdout.count("== ") == 6


def test_check_runs_every_check_before_it_fails(checkout: Path) -> None:
    programs = checkout / ".venv" / "bin"
    programs.mkdir(parents=True)
    for name in (".made", ".runtime", ".dev"):
        (checkout / ".venv" / name).touch()
    for name in ("ruff", "mypy", "lint-imports", "alembic"):
        (programs / name).write_text("#!/bin/sh\nexit 1\n")
        (programs / name).chmod(0o755)
    answer = make(checkout, "check")
    assert answer.returncode != 0
    assert answer.stdout.count("== ") == 6
