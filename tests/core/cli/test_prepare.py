"""`voicesketch prepare`: what would be prepared, what is refused before anything is sent, and what goes on here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from core.cli.prepare import app
from core.datasets.recipes import Recipe
from tests.core.datasets.layouts.trees import grow

NOWHERE = ("--url", "http://127.0.0.1:9", "--token", "t")


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def people(tmp_path: Path) -> Path:
    folder = tmp_path / "people"
    return grow(folder, *(f"p{n}/{name}" for n in range(10) for name in ("a.wav", "a.jpg")), "p0/x.txt")


def test_a_dry_run_tells_the_plan_and_asks_nobody(people: Path) -> None:
    result = run(people, "--dry-run", *NOWHERE)
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines() == [
        "Layout folders: 20 inputs of 10 people in 3 shards",
        "  train: 8 people, 8 voices, 8 faces",
        "  validation: 1 people, 1 voices, 1 faces",
        "  test: 1 people, 1 voices, 1 faces",
        "  1 left out: not_media",
        "    p0/x.txt: By its name, this is neither a recording nor a picture.",
    ]


def test_a_dry_run_in_json_is_for_scripts(people: Path) -> None:
    told = json.loads(run(people, "--dry-run", "--json", "--split", "50/25/25", "--face", "none").stdout)
    assert (told["layout"], told["people"], told["entries"]) == ("folders", 10, 10)
    assert told["by_split"]["train"] == {"people": 5, "voices": 5, "faces": 0}
    assert {reason: left["count"] for reason, left in told["left_out"].items()} == {
        "not_wanted": 10,
        "not_media": 1,
    }
    assert len(told["plan_sha256"]) == 64


def test_several_folders_are_one_dataset(people: Path, tmp_path: Path) -> None:
    other = grow(tmp_path / "more", "train/q/a.wav", "train/q/a.jpg")
    told = json.loads(run(people, other, "--dry-run", "--json", "--layout", "folders").stdout)
    assert told["people"] == 2  # with several, each folder is a person's, or sorts them


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--split", "0.8/0.2"), "--split takes three shares"),
        (("--split", "0.8/0.1/0.2"), "must add up to 1"),
        (("--voice", "mfcc"), "voice.features"),
        (("--voice", "none", "--face", "none"), "prepares nothing"),
        (("--face", "embedding"), "embeddings need an encoder"),
        (("--column", "portrait"), "--column takes WHAT=NAME"),
        (("--layout", "heap"), "There is no layout 'heap'"),
        (("--by", "gender"), "Nobody has the attribute 'gender'"),
        (("--local",), "say where the dataset goes"),
        (("--out", "x"), "--out goes with --local"),
    ],
)
def test_slips_are_told_in_a_sentence(people: Path, options: tuple[str, ...], said: str) -> None:
    result = run(people, *options, *(() if "--local" in options or "--out" in options else ("--dry-run",)))
    assert result.exit_code == 2, result.output
    assert said in result.stderr
    assert "Traceback" not in result.output


def test_a_service_that_does_not_answer_is_told_before_anything_is_planned(people: Path) -> None:
    result = run(people, "--data", people / "no stack here")
    assert result.exit_code == 3
    assert "No voicesketch answers" in result.stderr


def test_local_hands_everything_to_the_program_with_the_networks(
    people: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    called: list[tuple[str, list[str]]] = []

    def become(module: str, arguments: list[str]) -> None:
        called.append((module, arguments))
        raise SystemExit(0)

    monkeypatch.setattr("core.cli.prepare.become", become)
    encoder = tmp_path / ("long " * 40) / "eyes"
    run(
        people,
        *("--local", "--out", tmp_path / "out", "--face", "picture,embedding", "--face-encoder", encoder),
        *("--by", "gender,age", "--column", "face=portrait", "--max-clips", "3", "--ignore-split"),
        *("--crop", "aligned", "--several", "largest", "--one-sided", "--device", "cpu", "--json"),
    )
    ((module, arguments),) = called
    options: dict[str, Any] = dict(zip(arguments[1:-1:2], arguments[2:-1:2], strict=True))
    assert (module, arguments[0]) == ("worker.prepare", str(people))
    assert arguments[-1] != ""
    recipe = Recipe.model_validate_json(options["--recipe-json"])
    assert recipe.face is not None
    assert recipe.voice is not None
    assert (recipe.face.encoder, recipe.face.crop, recipe.face.several) == ("eyes", "aligned", "largest")
    assert (recipe.split.by, recipe.split.keep, recipe.both_sides) == (("gender", "age"), False, False)
    assert recipe.voice.max_clips == 3
    assert "--json" in arguments
    assert arguments[arguments.index("--column") + 1] == "face=portrait"
    assert arguments[arguments.index("--face-encoder") + 1] == str(encoder)
