"""`voicesketch train`, `evaluate` and `analyse`: what is refused before anything is sent, and what is only shown."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType

import pytest
from typer.testing import CliRunner, Result

from core.cli import analyse, evaluate, train
from core.training.presets import PRESETS

NOWHERE = ("--url", "http://127.0.0.1:9", "--token", "t")


def run(command: ModuleType, *arguments: str | Path) -> Result:
    return CliRunner().invoke(command.app, [str(argument) for argument in arguments])


def test_every_preset_is_listed_and_asks_nobody() -> None:
    lines = run(train, "--list", *NOWHERE).stdout.splitlines()
    assert [line.split()[0] for line in lines] == list(PRESETS)
    told = json.loads(run(train, "--list", "--json").stdout)
    assert {preset["name"] for preset in told} == PRESETS.keys()


def test_a_local_dry_run_prints_the_whole_spec(tmp_path: Path) -> None:
    arguments = (
        "--dataset",
        tmp_path,
        "--name",
        "m",
        "--set",
        "loop.batch=4",
        "--promote",
        "--local",
        "--dry-run",
    )
    spec = json.loads(run(train, "ve_conv-small", *arguments).stdout)
    assert (spec["model"], spec["dataset"], spec["recipe"]["loop"]["batch"]) == ("m", tmp_path.name, 4)
    assert spec["after"]["promote"] is True


_SEVERAL_HOSTS = ("default", "--dataset", "d", "--name", "m", "--set", "machine.hosts=2")


@pytest.mark.parametrize(
    ("command", "arguments", "words"),
    [
        (train, ("nothing",), "There is no preset"),
        (train, (), "Name a preset"),
        (train, ("gan",), "Say which: --dataset and --name."),
        (train, ("gan", "--dataset", "d", "--name", "a b"), "model: String should match"),
        (train, ("gan", "--dataset", "d", "--name", "m", "--set", "loop.batch=1"), "recipe.loop.batch"),
        (train, ("default", "--dataset", "d", "--name", "m", "--out", "o"), "go with --local"),
        (train, ("default", "--dataset", "d", "--name", "m", "--local"), "--out DIR"),
        (train, ("default", "--dataset", "d", "--name", "m", "--local", "--out", "o"), "no prepared dataset"),
        (train, (*_SEVERAL_HOSTS, "--local", "--out", "o"), "there is one host"),
        (evaluate, ("m", "--dataset", "d", "--local", "--out", "o"), "no prepared dataset"),
        (evaluate, ("m", "--dataset", "d", "--out", "o"), "goes with --local"),
        (analyse, ("m", "--dataset", "d", "--only", "tea_leaves"), "analyses.0"),
    ],
)
def test_what_cannot_be_is_one_sentence_and_exit_code_2(
    command: ModuleType, arguments: tuple[str, ...], words: str
) -> None:
    result = run(command, *arguments, *NOWHERE)
    assert result.exit_code == 2, result.output
    assert words in result.stderr
    assert "Traceback" not in result.output


def test_models_of_a_local_training_are_folders_and_a_missing_one_is_named(tmp_path: Path) -> None:
    (tmp_path / "dataset.json").write_text("{}")
    result = run(train, "ve_conv", "--dataset", tmp_path, "--name", "m", "--local", "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert "--model-folder face_" in result.stderr
