"""Runs small trainings through the engine, in this process."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from core.training.specs import TrainSpec
from tests.worker.training.made_up import RECIPES, MadeUp, spec
from worker.ml.dataset_reader import PreparedDataset
from worker.ml.training import seeds
from worker.ml.training.engine import RunSettings, train
from worker.ml.training.events import Ended, Event, Metrics
from worker.ml.training.task import Batch, Phase, Task, World
from worker.training import build_task


@dataclass
class Run:
    """What a training told, and where it wrote."""

    folder: Path
    task: Task
    events: list[Event] = field(default_factory=list)
    ended: Ended | None = None

    def curve(self, name: str) -> list[float]:
        """The values of a curve, in order."""
        return [
            event.values[name] for event in self.events if isinstance(event, Metrics) and name in event.values
        ]


def build(
    made_up: MadeUp, wanted: TrainSpec, models: Mapping[str, Path] | None = None
) -> tuple[Task, tuple[Phase, ...]]:
    """The task of a spec, as `worker.train` builds it."""
    seeds.seed_weights(wanted.machine.seed)
    dataset = PreparedDataset.open(made_up.dataset)
    return build_task(wanted, dataset, {**made_up.models, **(models or {})}, "cpu")


def run(
    made_up: MadeUp,
    folder: Path,
    wanted: TrainSpec,
    models: Mapping[str, Path] | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Run:
    """Train until it ends or is stopped."""
    task, phases = build(made_up, wanted, models)
    answer = Run(folder, task)
    settings = RunSettings(
        folder,
        seed=wanted.machine.seed,
        precision=wanted.machine.precision,
        device="cpu",
        loader_threads=wanted.machine.loader_threads,
        log_steps=1,
        sample_pictures=2,
        dataset_sha256="d",
        spec_sha256="s",
    )
    answer.ended = train(task, phases, settings, answer.events.append, should_stop)
    return answer


def recipe(task: str, **values: Any) -> dict[str, Any]:
    """The small recipe of a task, with other values."""
    return {**RECIPES[task], **values}


def begun(made_up: MadeUp, wanted: TrainSpec, models: Mapping[str, Path] | None = None) -> tuple[Task, Batch]:
    """A task at its beginning, and its first training batch of eight."""
    task, phases = build(made_up, wanted, models)
    task.begin(World(torch.device("cpu")))
    task.begin_phase(phases[0].name)
    source, _ = task.sources(phases[0].name, 0)
    samples = [source.read(at, seeds.of_sample(0, 0, 0, at)) for at in range(8)]
    stacked = {name: torch.from_numpy(np.stack([sample[name] for sample in samples])) for name in samples[0]}
    return task, stacked


__all__ = ["Run", "begun", "build", "recipe", "run", "spec"]
