"""The program that imports weights: a whole folder or none, and a child that may die."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch

from tests.worker.hugging_face import write_ast
from tests.worker.ml.test_checkpoints import Shell, training_checkpoint
from worker.import_weights import main
from worker.ml.errors import ModelError
from worker.ml.networks.catalogue import load_network
from worker.ml.networks.pretrained import Encoder
from worker.weight_reader import Request, make_model


def start(*arguments: object, **extra: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "worker.import_weights", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **extra},
    )


def child_of(program: subprocess.Popen[str]) -> psutil.Process:
    while not (children := psutil.Process(program.pid).children()):
        assert program.poll() is None
        time.sleep(0.01)
    return children[0]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Where models go; what is left behind shows in it."""
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


def test_a_folder_of_hugging_face_becomes_a_model_of_ours(
    tmp_path: Path, home: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    write_ast(tmp_path / "ast", classes=527)
    arguments = [str(tmp_path / "ast"), "--as", "ast", "--name", "listener", "--space", "somewhere"]
    capfd.readouterr()
    assert main([*arguments, "--new-head", "--out", str(home / "model")]) == 0
    out, steps = capfd.readouterr()
    made = json.loads(out)
    assert (made["kind"], made["name"], made["folder"]) == ("ast", "listener", str(home / "model"))
    assert [line.split()[0] for line in steps.splitlines()] == ["reading", "checking", "writing"]
    network = load_network(home / "model", "cpu")
    assert isinstance(network, Encoder)
    assert network.identity.version == "listener@1"
    assert network.embedding_space == "somewhere"
    assert made["parameters"] == sum(weight.numel() for weight in network.parameters())
    noise = np.random.default_rng(0).normal(size=16_000).astype(np.float32)
    assert network.encode([noise]).shape == (1, 4096)
    assert [path.name for path in home.iterdir()] == ["model"]

    # A second time it is the same network to the last bit, also its new head.
    again = Request(
        str(tmp_path / "ast"), "ast", str(tmp_path / "again"), "listener", True, space="somewhere"
    )
    make_model(again)
    assert load_network(tmp_path / "again", "cpu").identity == network.identity

    # A folder in use is left alone.
    assert main([*arguments, "--new-head", "--out", str(home / "model")]) == 2
    assert "is there already" in capfd.readouterr().err
    assert load_network(home / "model", "cpu").identity == network.identity


def test_code_is_not_run_and_nothing_is_left_behind(
    tmp_path: Path, home: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    canary = tmp_path / "it ran"
    torch.save({"model_state_dict": {}, "x": Shell(f"touch '{canary}'")}, tmp_path / "evil.pt")
    assert main([str(tmp_path / "evil.pt"), "--as", "ve_conv", "--out", str(home / "model")]) == 2
    out, told = capfd.readouterr()
    assert not canary.exists()
    assert out == "" and list(home.iterdir()) == []
    assert told.splitlines()[-1].startswith(f"{tmp_path / 'evil.pt'} contains code")


@pytest.mark.parametrize(
    ("request_", "sentence"),
    [
        (Request("w.pt", "ve_conv", new_head=True), "Only an AST can get a new head"),
        (Request("w.pt", "ve_conv", original_recipe=True), "Only VGG-Face has two recipes"),
        (Request("w.pt", "vggface", keras_only=True), "is no HDF5 file"),
    ],
)
def test_what_does_not_go_together_is_told(tmp_path: Path, request_: Request, sentence: str) -> None:
    torch.save({"w": torch.ones(1)}, tmp_path / "w.pt")
    with pytest.raises(ModelError, match=sentence):
        make_model(replace(request_, source=str(tmp_path / "w.pt"), folder=str(tmp_path / "model")))
    assert not (tmp_path / "model").exists()


def test_a_child_that_dies_leaves_one_sentence_and_nothing_else(tmp_path: Path, home: Path) -> None:
    torch.save({"w": torch.ones(1)}, tmp_path / "w.pt")
    program = start(
        *(tmp_path / "w.pt", "--as", "ve_conv", "--out", home / "model"),
        VOICESKETCH_TOKEN="vs_secret",
        AWS_SECRET_ACCESS_KEY="secret",
    )
    child = child_of(program)
    environment = child.environ()
    child.kill()
    out, told = program.communicate(timeout=60)
    assert program.returncode == 2
    assert out == "" and list(home.iterdir()) == []
    assert told.splitlines() == [
        f"Reading {tmp_path / 'w.pt'} was killed from outside, most likely because this machine ran out of memory."
    ]
    assert not {"VOICESKETCH_TOKEN", "AWS_SECRET_ACCESS_KEY"} & environment.keys()


def test_stopped_it_takes_its_child_along_and_leaves_nothing_behind(tmp_path: Path, home: Path) -> None:
    torch.save({"w": torch.ones(1)}, tmp_path / "w.pt")
    program = start(tmp_path / "w.pt", "--as", "ve_conv", "--out", home / "model")
    child = child_of(program)
    program.terminate()
    program.communicate(timeout=60)
    assert program.returncode == 143
    assert list(home.iterdir()) == []
    assert not child.is_running()


def test_another_networks_weights_are_refused_and_a_file_named_torch_beside_them_is_not_torch(
    tmp_path: Path, home: Path
) -> None:
    weights = training_checkpoint({"layer1.0.weight\n\x1b[2J": torch.ones(1)})
    torch.save(weights, tmp_path / "w.pt")
    (tmp_path / "torch.py").write_text("open('it ran', 'w')")
    outcome = subprocess.run(
        [sys.executable, "-P", "-m", "worker.import_weights", "w.pt", "--as", "ve_conv", "--out", home / "m"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert outcome.returncode == 2
    assert outcome.stderr.splitlines()[-1].startswith("This is not a checkpoint of ve_conv: ")
    assert not (tmp_path / "it ran").exists()
    assert list(home.iterdir()) == []


def test_the_child_gets_no_more_memory_than_a_network_needs(tmp_path: Path) -> None:
    code = (
        "from pathlib import Path\n"
        "from worker.weight_reader import SPARE_MEMORY_BYTES, _limit_memory\n"
        "_limit_memory(Path('nothing'))\n"
        "bytearray(SPARE_MEMORY_BYTES // 2)\n"
        "try: bytearray(SPARE_MEMORY_BYTES + 1)\n"
        "except MemoryError: print('refused')\n"
    )
    (tmp_path / "nothing").touch()
    outcome = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert outcome.stdout == "refused\n"


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    assert main([str(tmp_path / "w.pt"), "--as", "ve_conv", "--out", str(tmp_path / "file" / "model")]) == 2
    assert "cannot be made" in capfd.readouterr().err
