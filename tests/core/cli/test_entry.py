"""The console command itself: quick to answer, and lazy."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
import typer

from core.cli.main import COMMANDS, app
from tests.conftest import REPOSITORY

HEAVY = ("boto3", "celery", "sqlalchemy", "torch", "flask", "psutil")


def voicesketch(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "core.cli.main", *arguments],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from core.cli.main import app\n"
        "try: app(['--help'])\n"
        "except SystemExit: pass\n"
        f"sys.exit(' '.join(name for name in {HEAVY!r} if name in sys.modules))\n"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    assert answer.stderr == "\n"


def test_help_is_quick_and_lists_every_command() -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    answer = voicesketch("--help")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert answer.returncode == 0
    # Of the processor: how long it takes says more about who else is at work. 0.2 s where there is nobody.
    assert after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime < 0.8
    assert all(f" {name} " in answer.stdout for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_listed_command_is_there(name: str) -> None:
    assert isinstance(import_module(COMMANDS[name].module).app, typer.Typer)


def test_an_unknown_command_is_wrong_usage() -> None:
    answer = voicesketch("job", "list")
    assert answer.returncode == 2
    assert "No such command 'job'. Did you mean 'jobs'" in answer.stderr


def test_draw_hands_everything_to_the_program_that_draws() -> None:
    answer = voicesketch("draw", "--help")
    assert answer.returncode == 0
    assert "--device" in answer.stdout


def test_bench_hands_everything_to_the_measurement() -> None:
    answer = voicesketch("bench", "infer", "--help")
    assert answer.returncode == 0
    assert "--quick" in answer.stdout


def test_bench_says_what_to_do_where_there_is_no_checkout(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("core.cli.bench.CHECKOUT", tmp_path)
    with pytest.raises(SystemExit) as ended:
        app(["bench", "queue"])
    assert ended.value.code == 2
    assert "make install-dev" in capsys.readouterr().err


def test_the_doctor_finds_what_the_stack_needs(tmp_path: Path) -> None:
    answer = voicesketch("doctor", "--json", "--data", str(tmp_path / "nothing here"))
    facts = json.loads(answer.stdout)
    assert facts["sqlite"]["safe"]
    assert all(server["path"] for server in facts["servers"].values())
    assert facts["stack"]["running"] is False
    assert not (tmp_path / "nothing here").exists(), "looking changes nothing"


def test_a_demo_of_nothing_is_refused_before_anything_starts(tmp_path: Path) -> None:
    answer = voicesketch("demo", "--in", str(tmp_path / "missing"), "--data", str(tmp_path / "data"))
    assert answer.returncode == 2
    assert answer.stderr.startswith("There is nothing at ")
    assert not (tmp_path / "data").exists()
