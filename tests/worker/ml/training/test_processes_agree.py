"""What several processes, or several GPUs, must have in common."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.worker.ml.training.runs import ADAM, notes, settings
from worker.ml.training import collectives, seeds
from worker.ml.training.checkpoints import Checkpoint, Checkpoints
from worker.ml.training.events import Event
from worker.ml.training.saving import Keeper
from worker.ml.training.state import Best, Place, State
from worker.ml.training.task import Phase, World

CPU = torch.device("cpu")


def keeper(folder: Path, rank: int, events: list[Event]) -> Keeper:
    phases = (Phase("only", 3, 4, ADAM),)
    checkpoints = Checkpoints(folder, events.append)
    return Keeper(checkpoints, settings(folder), phases, [], World(CPU, rank, 2), "fp32", events.append)


def test_a_best_checkpoint_that_is_gone_is_gone_for_all_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A process that knew another best would end a phase that the others go on with, and all would wait for ever.
    said: list[Any] = []
    monkeypatch.setattr(collectives, "from_first", lambda thing: said.append(thing) or said[0])
    state = State(Place(step=9), best=Best(0, 5, 1, "total", 0.5))
    newest = Checkpoint(tmp_path / "00000009.safetensors", {}, {})
    events: list[Event] = []
    for rank in (0, 1):
        known = State.of_json(state.as_json())
        keeper(tmp_path, rank, events).mend_best(newest, known)
        assert known.best is None
    assert said == [True, False], "the first process decides"
    assert ["of step 5, is gone" in text for text in notes(events, "warning")] == [True]


def test_a_best_checkpoint_that_is_there_stays_the_best_in_all_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[Any] = []
    monkeypatch.setattr(collectives, "from_first", lambda thing: said.append(thing) or said[0])
    events: list[Event] = []
    newest = tmp_path / "00000005.safetensors"
    writing = keeper(tmp_path, 0, events)
    # Killed after the checkpoint was written and before it was made the best.
    writing.checkpoints.save(5, {}, {"state": State(Place(step=5)).as_json()}, is_best=False)
    for rank in (0, 1):
        known = State(Place(step=5), best=Best(0, 5, 1, "total", 0.5))
        keeper(tmp_path, rank, events).mend_best(Checkpoint(newest, {}, {}), known)
        assert known.best is not None
    assert writing.checkpoints.step_of_best() == 5
    assert not notes(events, "warning")


def test_what_dropout_draws_is_seeded_on_every_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    # A training on cuda:1 draws from the generator of that GPU, which need not be the current one.
    generators = (torch.Generator(), torch.Generator())
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda.random, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda.random, "current_device", lambda: 0)
    monkeypatch.setattr(torch.cuda, "default_generators", generators)
    before = torch.get_rng_state()
    try:
        seeds.enter_update(3, 7, 0, 0, 0, 0)
    finally:
        torch.set_rng_state(before)
    numbers = {generator.initial_seed() for generator in generators}
    assert len(numbers) == 1 and numbers != {torch.Generator().initial_seed()}
