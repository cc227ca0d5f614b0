"""Killed and resumed is the same as never killed, and two processes are the same as one, on networks of every day."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from core.training.specs import TrainSpec
from tests.worker.training.made_up import MadeUp, spec
from tests.worker.training.running import recipe, run
from worker.ml.training.failures import Stopped

REPOSITORY = Path(__file__).resolve().parents[3]


class StopAt:
    """Asks for the end at the n-th question."""

    def __init__(self, question: int) -> None:
        self.left = question

    def __call__(self) -> bool:
        self.left -= 1
        return self.left < 0


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return {
        f"{path.parent.name}.{name}": tensor
        for path in sorted(folder.glob("model/*/model.safetensors"))
        for name, tensor in load_file(path).items()
    }


def assert_same(one: Mapping[str, torch.Tensor], other: Mapping[str, torch.Tensor]) -> None:
    assert one.keys() == other.keys() and one
    different = [name for name in one if not torch.equal(one[name], other[name])]
    assert different == []


@pytest.mark.parametrize("task", ["face_decoder", "matching", "ast"])
def test_stopped_in_the_middle_and_resumed_is_as_never_stopped(
    made_up: MadeUp, tmp_path: Path, task: str
) -> None:
    wanted = spec(recipe(task, augmentation={"brightness": 0.1, "noise_db": 20, "gain_db": 3}))
    whole = run(made_up, tmp_path / "whole", wanted)
    stops = 0
    # Never twice at the same place; for the AST in its first phase and in its second.
    for question in (1, 2):
        try:
            run(made_up, tmp_path / "parts", wanted, should_stop=StopAt(question))
        except Stopped:
            stops += 1
    parts = run(made_up, tmp_path / "parts", wanted)
    assert stops == 2
    assert whole.ended is not None and parts.ended is not None
    assert parts.ended.result["steps"] == whole.ended.result["steps"]
    assert_same(weights(tmp_path / "whole"), weights(tmp_path / "parts"))


@pytest.mark.parametrize("task", ["face_decoder", "matching"])
def test_a_program_that_is_killed_goes_on_to_the_same_weights(
    made_up: MadeUp, tmp_path: Path, task: str
) -> None:
    loop = {"epochs": 3, "batch": 8, "optimiser": {"learning_rate": 3e-3}}
    wanted = spec(recipe(task, loop=loop))
    _ask(tmp_path / "killed", made_up, wanted)
    run(made_up, tmp_path / "whole", wanted)
    with _program(tmp_path / "killed") as killed:
        assert killed.stdout is not None
        for line in killed.stdout:
            event = json.loads(line)
            if event["event"] == "file" and event["kind"] == "checkpoint":
                killed.kill()
                break
    assert killed.returncode != 0 and not (tmp_path / "killed" / "model").exists()
    with _program(tmp_path / "killed") as resumed:
        output, _ = resumed.communicate(timeout=180)
    assert resumed.returncode == 0 and "Going on from" in output
    assert_same(weights(tmp_path / "whole"), weights(tmp_path / "killed"))


def test_two_processes_learn_what_one_learns(made_up: MadeUp, tmp_path: Path) -> None:
    wanted = recipe("matching", augmentation={"noise_db": 20})
    run(made_up, tmp_path / "one", spec(wanted))
    _ask(tmp_path / "two", made_up, spec(wanted, machine={"processes": 2}))
    with _program(tmp_path / "two") as program:
        output, _ = program.communicate(timeout=180)
    assert program.returncode == 0, output
    one, two = weights(tmp_path / "one"), weights(tmp_path / "two")
    assert one.keys() == two.keys()
    for name in one:
        torch.testing.assert_close(one[name], two[name], rtol=1e-4, atol=1e-5)


def _ask(folder: Path, made_up: MadeUp, wanted: TrainSpec) -> None:
    folder.mkdir()
    description = (made_up.dataset / "dataset.json").read_bytes()
    request: dict[str, Any] = {
        "spec": wanted.model_dump(mode="json"),
        "dataset": str(made_up.dataset),
        "dataset_sha256": hashlib.sha256(description).hexdigest(),
        "models": {name: str(path) for name, path in made_up.models.items()},
        "device": "cpu",
    }
    (folder / "request.json").write_text(json.dumps(request))


def _program(folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "worker.train", str(folder)],
        cwd=REPOSITORY,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
