"""The training loop: the same for every task."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from worker.ml.training.events import Ended, Tell
from worker.ml.training.settings import RunSettings
from worker.ml.training.task import Phase, Task

__all__ = ["RunSettings", "train"]


def train(
    task: Task,
    phases: Sequence[Phase],
    run: RunSettings,
    tell: Tell,
    should_stop: Callable[[], bool] = lambda: False,
) -> Ended:
    """Train a task through its phases, going on from what the run folder holds.

    Args:
        tell: takes events; called in the first process only.
        should_stop: asked between steps.

    Raises:
        TrainingFailed: `not_finite`, `out_of_memory`, `disk_full`, `checkpoint_mismatch` or `invalid_recipe`.
        Stopped: it was asked to; a checkpoint is left.
    """
    raise NotImplementedError
