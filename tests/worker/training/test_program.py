"""`python -m worker.train` as those who supervise it see it: exit codes, events, signals, and what stays behind."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.worker.training.made_up import MadeUp, spec
from tests.worker.training.running import recipe
from worker import train_processes
from worker.ml.training.checkpoint_files import read_state
from worker.ml.training.events import STOPPED, Event, Failed, File, Progress, read_event
from worker.supervisor import Limits

REPOSITORY = Path(__file__).resolve().parents[3]
ENDLESS = {"loop": {"epochs": 10_000, "batch": 8}}


def ask(folder: Path, made_up: MadeUp, *, processes: int = 1, **changes: Any) -> Path:
    """A run folder with a request to train small matching networks for as long as they are let."""
    wanted = spec(recipe("matching", **ENDLESS), machine={"processes": processes, "sample_pictures": 0})
    request = {
        "spec": wanted.model_dump(mode="json"),
        "dataset": str(made_up.dataset),
        "dataset_sha256": hashlib.sha256((made_up.dataset / "dataset.json").read_bytes()).hexdigest(),
        "models": {},
        "device": "cpu",
        **changes,
    }
    folder.mkdir()
    (folder / "request.json").write_text(json.dumps(request))
    return folder


@contextmanager
def running(folder: Path, **more: Any) -> Iterator[subprocess.Popen[str]]:
    """The program, in a session of its own as under its supervisor; it does not outlive the block."""
    with (
        (folder / "errors.txt").open("w") as errors,
        subprocess.Popen(
            [sys.executable, "-m", "worker.train", str(folder)],
            cwd=REPOSITORY,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            start_new_session=True,
            **more,
        ) as program,
    ):
        try:
            yield program
        finally:
            program.kill()


def events_of(program: subprocess.Popen[str]) -> Iterator[Event]:
    assert program.stdout is not None
    for line in program.stdout:
        event = read_event(line)
        assert event is not None, line
        yield event


def until_checkpoint(program: subprocess.Popen[str]) -> None:
    for event in events_of(program):
        if isinstance(event, File) and event.kind == "checkpoint":
            return
    raise AssertionError("it left no checkpoint")


def failure_of(folder: Path, **more: Any) -> Failed:
    """What the program says it failed for."""
    with running(folder, **more) as program:
        last = list(events_of(program))[-1]
        assert program.wait(60) == 1
    assert isinstance(last, Failed), (folder / "errors.txt").read_text()
    return last


def test_asked_to_stop_it_leaves_a_checkpoint_within_seconds(made_up: MadeUp, tmp_path: Path) -> None:
    folder = ask(tmp_path / "run", made_up)
    with running(folder) as program:
        assert stopped_step(program, folder) > 0


def test_several_processes_stop_together_go_on_and_say_when_one_of_them_dies(
    made_up: MadeUp, tmp_path: Path
) -> None:
    folder = ask(tmp_path / "run", made_up, processes=2)
    with running(folder) as program:
        step = stopped_step(program, folder)
    with running(folder) as program:
        resumed = (event.resumed_at_step for event in events_of(program) if isinstance(event, Progress))
        assert next(at for at in resumed if at is not None) == step
        torchrun = psutil.Process(program.pid).children()[0]
        torchrun.children()[1].kill()
        last = list(events_of(program))[-1]
        assert program.wait(60) == 1
    assert isinstance(last, Failed)
    assert (last.code, last.retryable) == ("internal_error", True), last


def stopped_step(program: subprocess.Popen[str], folder: Path) -> int:
    """Have it stop after its first checkpoint; answers at which step it says it goes on."""
    until_checkpoint(program)
    # To the whole group, as a terminal would: those in it must not take it for two requests.
    os.killpg(program.pid, signal.SIGTERM)
    began = time.monotonic()
    rest = list(events_of(program))
    assert program.wait(60) == STOPPED, (folder / "errors.txt").read_text()
    assert time.monotonic() - began < Limits().stop_seconds
    assert not [event for event in rest if isinstance(event, Failed)]
    newest = max((folder / "checkpoints").glob("0*.safetensors"))
    return int(read_state(newest, check=True)["state"]["place"]["step"])


def test_killed_it_leaves_no_process_behind(made_up: MadeUp, tmp_path: Path) -> None:
    folder = ask(tmp_path / "run", made_up, processes=2)
    with running(folder) as program:
        until_checkpoint(program)
        children = psutil.Process(program.pid).children(recursive=True)
        assert len([child for child in children if "--outcomes" in child.cmdline()]) == 3
        program.kill()
        _, alive = psutil.wait_procs(children, timeout=60)
    assert alive == []


def test_wrong_requests_and_lost_datasets_have_codes_and_sentences(made_up: MadeUp, tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    assert failure_of(tmp_path / "none").code == "invalid_recipe"
    folder = ask(tmp_path / "wrong", made_up, device=7)
    failed = failure_of(folder)
    assert (failed.code, "device" in failed.message) == ("invalid_recipe", True)
    folder = ask(tmp_path / "lost", made_up, dataset=str(tmp_path / "nowhere"))
    assert failure_of(folder).code == "dataset_not_found"
    folder = ask(tmp_path / "other", made_up, dataset_sha256="0" * 64)
    assert failure_of(folder).code == "dataset_mismatch"
    assert "dataset_mismatch" in (folder / "log.txt").read_text()


def test_of_what_several_processes_say_the_first_word_counts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train_processes.leave_word(tmp_path, Failed("not_finite", "At step 3, train/total is nan."))
    train_processes.leave_word(tmp_path, Failed("internal_error", "Another one is gone.", retryable=True))
    assert train_processes._outcome(tmp_path, 1) == 1
    told = [read_event(line) for line in capsys.readouterr().out.splitlines()]
    assert told == [Failed("not_finite", "At step 3, train/total is nan.")]
