"""Whether a validation is the best so far, and whether a phase has waited long enough for a better one."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from worker.ml.training.failures import TrainingFailed
from worker.ml.training.state import Best, State
from worker.ml.training.task import Phase


def judge(
    state: State, phase: Phase, metric: str | None, means: Mapping[str, float], note: Callable[[str], None]
) -> bool:
    """Compare what was validated with the best so far, and note in the state what follows.

    Args:
        metric: what counts; smaller is better. None: no validation is better than another.
        means: what was measured, by its name.
        note: takes a sentence for people, should the phase end early.

    Returns:
        Whether this is the best so far.

    Raises:
        TrainingFailed: `not_finite`.
    """
    if metric is None:
        return False
    if metric not in means:
        raise KeyError(f"the task validates {sorted(means)}, and {metric} is not among them")
    value, place = means[metric], state.place
    if not math.isfinite(value):
        raise TrainingFailed(
            "not_finite",
            f"Validated after step {place.step}, {metric} is {value}. Lower the learning rate, clip gradients, or "
            "train with more bits; the last good checkpoint is kept.",
        )
    if state.best is None or value < state.best.value:
        state.best = Best(place.phase, place.step, place.epochs + 1, metric, value)
        state.worse = 0
        return True
    state.worse += 1
    if phase.patience is not None and state.worse >= phase.patience:
        state.phase_over = state.ended_early = True
        note(f"{phase.name} ends early: {state.worse} validations in a row were no better.")
    return False
