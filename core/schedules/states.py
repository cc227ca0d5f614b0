"""States of a run of a schedule, and the moves between them.

A run has no work of its own: it follows the ends of its jobs, looked at by the ticker. So whatever is killed, the next
look goes on from the rows.
"""

from __future__ import annotations

from enum import StrEnum


class RunState(StrEnum):
    QUEUED = "queued"  # waits until the run before it has ended
    PREPARING = "preparing"  # its collection becomes a dataset version
    TRAINING = "training"  # trains, registers, evaluates, and judges by the gate
    PROMOTED = "promoted"  # the new version took the place of the one before
    KEPT = "kept"  # the new version is registered, and what was in place stays
    NOTHING_NEW = "nothing_new"  # the dataset is the one that was trained on before
    FAILED = "failed"
    CANCELLED = "cancelled"
    SKIPPED = "skipped"  # another run of the same schedule was under way


RUN_MOVES: dict[RunState, frozenset[RunState]] = {
    RunState.QUEUED: frozenset({RunState.PREPARING, RunState.FAILED, RunState.CANCELLED}),
    RunState.PREPARING: frozenset(
        {RunState.TRAINING, RunState.NOTHING_NEW, RunState.FAILED, RunState.CANCELLED}
    ),
    RunState.TRAINING: frozenset({RunState.PROMOTED, RunState.KEPT, RunState.FAILED, RunState.CANCELLED}),
    RunState.PROMOTED: frozenset(),
    RunState.KEPT: frozenset(),
    RunState.NOTHING_NEW: frozenset(),
    # Its job was retried.
    RunState.FAILED: frozenset({RunState.PREPARING, RunState.TRAINING}),
    RunState.CANCELLED: frozenset({RunState.PREPARING, RunState.TRAINING}),
    RunState.SKIPPED: frozenset(),
}

RUN_OPEN = frozenset({RunState.QUEUED, RunState.PREPARING, RunState.TRAINING})
RUN_FINAL = frozenset(RunState) - RUN_OPEN
# Those that ended with a version, or found that there was none to make.
RUN_WITH_VERSION = frozenset({RunState.PROMOTED, RunState.KEPT})

SENTENCES: dict[RunState, str] = {
    RunState.QUEUED: "It waits until the run before it has ended.",
    RunState.PREPARING: "Its collection is being prepared.",
    RunState.TRAINING: "It trains; evaluation and gate follow.",
    RunState.PROMOTED: "The new version passed its gate and was promoted.",
    RunState.KEPT: "The new version is registered; what was in place stays.",
    RunState.NOTHING_NEW: "Nothing has changed since the last version, so nothing was trained.",
    RunState.FAILED: "It could not be carried out.",
    RunState.CANCELLED: "It was cancelled.",
    RunState.SKIPPED: "Another run of this schedule was under way.",
}
