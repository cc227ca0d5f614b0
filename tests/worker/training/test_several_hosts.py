"""A training on two hosts, each with a folder of its own and nothing shared, on one machine."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from core.stack import ports
from core.training.specs import TrainSpec
from tests.worker.training.made_up import MadeUp, spec
from tests.worker.training.running import recipe, run
from tests.worker.training.test_resuming import weights
from worker import train_processes
from worker.ml.training.events import STOPPED, Failed, read_event

REPOSITORY = Path(__file__).resolve().parents[3]
LOOP = {"epochs": 3, "batch": 8}


def ask(folder: Path, made_up: MadeUp, wanted: TrainSpec) -> Path:
    folder.mkdir()
    request: dict[str, Any] = {
        "spec": wanted.model_dump(mode="json"),
        "dataset": str(made_up.dataset),
        "dataset_sha256": hashlib.sha256((made_up.dataset / "dataset.json").read_bytes()).hexdigest(),
        "models": {name: str(path) for name, path in made_up.models.items()},
        "device": "cpu",
    }
    (folder / "request.json").write_text(json.dumps(request))
    return folder


@contextmanager
def host(folder: Path, port: int, number: int) -> Iterator[subprocess.Popen[str]]:
    """One host's part, in a session of its own as under its supervisor; it does not outlive the block."""
    with (folder / "errors.txt").open("w") as errors:
        program = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "worker.train",
                str(folder),
                "--leader",
                "127.0.0.1",
                "--number",
                str(number),
            ],
            cwd=REPOSITORY,
            env={**os.environ, "OMP_NUM_THREADS": "1", "MASTER_PORT": str(port)},
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            start_new_session=True,
        )
        with program:
            try:
                yield program
            finally:
                program.kill()


@pytest.mark.soak
def test_two_hosts_stop_go_on_elsewhere_and_learn_what_one_process_learns(
    made_up: MadeUp, tmp_path: Path
) -> None:
    wanted = recipe("matching", augmentation={"noise_db": 20}, loop=LOOP)
    run(made_up, tmp_path / "one", spec(wanted))
    on_two = spec(wanted, machine={"hosts": 2})
    port = ports.choose(["meeting"])["meeting"]
    leads = ask(tmp_path / "leads", made_up, on_two)
    first = ask(tmp_path / "follows first", made_up, on_two)
    with host(leads, port, 0) as leader, host(first, port, 1) as follower:
        assert leader.stdout is not None
        for line in leader.stdout:
            if json.loads(line).get("kind") == "checkpoint":
                leader.send_signal(signal.SIGTERM)
                break
        leader.communicate(timeout=120)
        assert leader.returncode == STOPPED, (leads / "errors.txt").read_text()
        follower.communicate(timeout=120)
        assert follower.returncode == STOPPED
    # Another host has nothing of what was learnt so far.
    then = ask(tmp_path / "follows then", made_up, on_two)
    with host(leads, port, 0) as leader, host(then, port, 1) as follower:
        told, _ = leader.communicate(timeout=180)
        said, _ = follower.communicate(timeout=120)
    assert (leader.returncode, follower.returncode) == (0, 0), (leads / "errors.txt").read_text()
    assert "Going on from" in told
    assert said == ""
    one, two = weights(tmp_path / "one"), weights(leads)
    assert one.keys() == two.keys()
    for name in one:
        torch.testing.assert_close(one[name], two[name], rtol=1e-4, atol=1e-5)


def test_hosts_that_do_not_come_are_told_of_and_the_training_is_tried_again(
    made_up: MadeUp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(train_processes, "_MEET_SECONDS", 1)
    monkeypatch.setenv("MASTER_PORT", str(ports.choose(["meeting"])["meeting"]))
    folder = ask(tmp_path / "alone", made_up, spec(recipe("matching"), machine={"hosts": 2}))
    group = train_processes.Group(1, hosts=2, leader="127.0.0.1")
    assert train_processes.run_processes(folder, group, lambda: False) == 1
    last = read_event(capsys.readouterr().out.splitlines()[-1])
    assert last == Failed("internal_error", train_processes.NO_HOSTS, retryable=True)
