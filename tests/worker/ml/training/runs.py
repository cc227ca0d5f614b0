"""Runs tiny trainings and reads what they left."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tests.worker.ml.training.tiny_tasks import TASKS
from worker.ml.training import seeds
from worker.ml.training.engine import train
from worker.ml.training.events import Ended, Event, File, Note
from worker.ml.training.history import Point, read_points
from worker.ml.training.settings import RunSettings
from worker.ml.training.task import OptimiserSettings, Phase, ScheduleSettings, Task

ADAM = OptimiserSettings(learning_rate=0.02)
PHASES: dict[str, tuple[Phase, ...]] = {
    "noisy": (
        Phase("only", 4, 5, ADAM, ScheduleSettings("cosine", warmup_steps=3), clip_norm=0.5, patience=2),
    ),
    "gan": (Phase("only", 4, 4, OptimiserSettings("rmsprop", 0.01)),),
    "two_phases": (
        Phase("head", 2, 6, ADAM),
        Phase("rest", 2, 4, OptimiserSettings("sgd", 0.05), max_steps=8),
    ),
}
OF_THE_CLOCK = {"samples_per_second", "waiting_for_samples", "memory_bytes"}


def settings(folder: Path, **changes: Any) -> RunSettings:
    """Of a short run on the CPU."""
    usual = RunSettings(
        folder, seed=3, device="cpu", loader_threads=2, log_steps=3, sample_pictures=2, dataset_sha256="d"
    )
    return dataclasses.replace(usual, **changes)


def make(name: str, seed: int = 3) -> Task:
    """A task with the initial weights of a seed."""
    seeds.seed_weights(seed)
    return TASKS[name]()


def run(
    name: str | Task,
    folder: Path,
    phases: Sequence[Phase] | None = None,
    should_stop: Callable[[], bool] = lambda: False,
    tell: Callable[[Event], None] = lambda event: None,
    **changes: Any,
) -> Ended:
    """Train a tiny task."""
    task = make(name) if isinstance(name, str) else name
    if phases is None:
        phases = PHASES.get(str(name), (Phase("only", 3, 4, ADAM),))
    return train(task, phases, settings(folder, **changes), tell, should_stop)


def curves(folder: Path) -> list[Point]:
    """The history, without what depends on the clock."""
    points = read_points((folder / "history.csv").read_text())
    return [
        dataclasses.replace(
            point,
            at=0.0,
            values={name: value for name, value in point.values.items() if name not in OF_THE_CLOCK},
        )
        for point in points
    ]


def exported(folder: Path) -> dict[str, str]:
    """The hash of every file of the exported models."""
    files = sorted(path for path in (folder / "model").rglob("*") if path.is_file())
    assert files
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files
    }


def notes(events: Sequence[Event], level: str | None = None) -> list[str]:
    """What was said for the log."""
    return [event.text for event in events if isinstance(event, Note) and level in (None, event.level)]


def files(events: Sequence[Event], kind: str) -> list[File]:
    """The files of a kind that were told."""
    return [event for event in events if isinstance(event, File) and event.kind == kind]
