"""What those who made shells, Dockerfiles and compose files would say of ours, by linters that are kept."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import pytest
import yaml

from tests.conftest import REPOSITORY

LINTERS = Path(sys.executable).parent


def scripts() -> list[Path]:
    there = [*(REPOSITORY / "deploy").rglob("*"), *(REPOSITORY / ".ci").glob("*")]
    return sorted(file for file in there if file.is_file() and "secrets" not in file.parts and shell_of(file))


def shell_of(file: Path) -> str | None:
    with file.open("rb") as opened:
        first = opened.readline().decode(errors="replace").strip()
    named = first.removeprefix("#!").replace("/usr/bin/env ", "").rsplit("/", 1)[-1]
    return named if first.startswith("#!") and named in ("sh", "bash") else None


def said_by(linter: str, *arguments: str | Path) -> tuple[int, str]:
    """Its answer, 0 where it has nothing to say."""
    done = subprocess.run([LINTERS / linter, *arguments], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def test_each_shell_reads_its_scripts_and_shellcheck_finds_nothing() -> None:
    found = scripts()
    assert {"make_secrets.sh", "rotate_secret.sh", "voicesketch", "workers.sbatch", "run"} == {
        file.name for file in found
    }
    for file in found:
        read = subprocess.run([str(shell_of(file)), "-n", file], capture_output=True, text=True, check=False)
        assert (read.returncode, read.stderr) == (0, ""), file
    assert said_by("shellcheck", *found) == (0, "")


def test_hadolint_finds_nothing_in_the_dockerfiles() -> None:
    files = sorted((REPOSITORY / "deploy" / "images").glob("*.Dockerfile"))
    assert len(files) == 2
    assert said_by("hadolint", *files) == (0, "")


def test_the_compose_file_has_no_field_that_compose_does_not_know() -> None:
    from jsonschema.validators import validator_for  # seconds to load, for this test only

    vendored = files("check_jsonschema") / "builtin_schemas" / "vendor" / "compose-spec.json"
    schema = json.loads(vendored.read_text("utf-8"))
    checked = validator_for(schema)(schema)
    ours = yaml.safe_load((REPOSITORY / "docker-compose.yml").read_text())
    assert [error.message for error in checked.iter_errors(ours)] == []
    ours["services"]["ticker"]["mem_limits"] = ours["services"]["ticker"].pop("mem_limit")
    assert ["mem_limits" in error.message for error in checked.iter_errors(ours)] == [True]


@pytest.mark.parametrize(
    ("linter", "name", "text", "code"),
    [
        ("shellcheck", "x.sh", "#!/bin/sh\ncd $1\n", "SC2164"),
        ("hadolint", "x.Dockerfile", "FROM debian:latest\n", "DL3007"),
    ],
)
def test_a_slip_would_be_found(linter: str, name: str, text: str, code: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    status, said = said_by(linter, tmp_path / name)
    assert status == 1
    assert code in said
