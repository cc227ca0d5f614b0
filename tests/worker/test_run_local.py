"""A program run on this machine, with no service: to its end, stopped by Ctrl-C, and gone on with."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from worker import run_local

PROGRAM = """
import json, pathlib, signal, sys, time
run = pathlib.Path(sys.argv[1])
signal.signal(signal.SIGTERM, lambda *_: sys.exit(75))
def tell(event, **values):
    print(json.dumps({"event": event, **values}), flush=True)
tell("progress", step=1, steps=2, epoch=1, epochs=1)
while (run.parent / "wait").exists():
    time.sleep(0.02)
tell("ended", result={"model": {"net": "encoder"}})
"""
DRIVER = """
import sys
from worker import run_local
sys.exit(run_local.main(sys.argv[2:], {"train": (sys.executable, sys.argv[1])}))
"""


@pytest.fixture
def request_json(tmp_path: Path) -> str:
    (tmp_path / "program.py").write_text(PROGRAM)
    (tmp_path / "dataset").mkdir()
    (tmp_path / "dataset" / "dataset.json").write_text("{}")
    spec = {"kind": "train", "machine": {}}
    return json.dumps({"spec": spec, "dataset": str(tmp_path / "dataset"), "models": {}, "device": "cpu"})


def main(tmp_path: Path, request: str) -> int:
    programs = {"train": (sys.executable, str(tmp_path / "program.py"))}
    return run_local.main([str(tmp_path / "out"), "--request", request], programs)


def test_it_ends_by_naming_what_was_trained(
    tmp_path: Path, request_json: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(tmp_path, request_json) == run_local.ALL_DONE
    told = capsys.readouterr()
    assert told.out.splitlines() == [f"encoder: {tmp_path / 'out' / 'model' / 'net'}"]
    assert "epoch 1/1, step 1/2" in told.err


def test_ctrl_c_says_how_to_go_on_and_the_same_command_does(tmp_path: Path, request_json: str) -> None:
    (tmp_path / "wait").touch()
    command = [sys.executable, "-c", DRIVER, str(tmp_path / "program.py"), str(tmp_path / "out")]
    program = subprocess.Popen(
        [*command, "--request", request_json],
        env={**os.environ, "PYTHONPATH": str(Path(run_local.__file__).parent.parent)},
        stderr=subprocess.PIPE,
        text=True,
    )
    assert program.stderr is not None
    assert "step 1/2" in program.stderr.readline()
    time.sleep(0.2)
    program.send_signal(signal.SIGINT)
    _, said = program.communicate(timeout=30)
    assert program.returncode == run_local.INTERRUPTED
    assert "The same command goes on" in said
    (tmp_path / "wait").unlink()
    assert main(tmp_path, request_json) == run_local.ALL_DONE


def test_a_folder_with_something_else_in_it_is_refused(
    tmp_path: Path, request_json: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(tmp_path, request_json) == run_local.ALL_DONE
    other = json.loads(request_json)
    other["spec"]["machine"] = {"seed": 1}
    assert main(tmp_path, json.dumps(other)) == run_local.WRONG_USAGE
    assert "other settings" in capsys.readouterr().err
    (tmp_path / "out" / "request.json").rename(tmp_path / "out" / "holiday.jpg")
    assert main(tmp_path, request_json) == run_local.WRONG_USAGE
    assert "is not empty" in capsys.readouterr().err
