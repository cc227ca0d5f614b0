"""Every script for a shell can be read by that shell, and shellcheck finds nothing in it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY


def scripts() -> list[Path]:
    there = [*(REPOSITORY / "deploy").rglob("*"), *(REPOSITORY / ".ci").glob("*")]
    return sorted(file for file in there if file.is_file() and "secrets" not in file.parts and shell_of(file))


def shell_of(file: Path) -> str | None:
    with file.open("rb") as opened:
        first = opened.readline().decode(errors="replace").strip()
    named = first.removeprefix("#!").replace("/usr/bin/env ", "").rsplit("/", 1)[-1]
    return named if first.startswith("#!") and named in ("sh", "bash") else None


def test_each_shell_reads_its_scripts() -> None:
    found = scripts()
    assert {"make_secrets.sh", "rotate_secret.sh", "voicesketch", "workers.sbatch"} <= {
        file.name for file in found
    }
    for file in found:
        read = subprocess.run([str(shell_of(file)), "-n", file], capture_output=True, text=True, check=False)
        assert (read.returncode, read.stderr) == (0, ""), file


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is not installed")
def test_shellcheck_finds_nothing() -> None:
    found = subprocess.run(["shellcheck", *scripts()], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout
