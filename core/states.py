"""States of jobs and items, and the moves between them.

States decide; anything merely shown (what a worker is doing right now) lives elsewhere and is never branched on.
The tables of allowed moves are enforced by the `WHERE` of every change in `core/jobs.py` and
`core/claims/leases.py`, and compared with the diagram of `docs/architecture.md` by a test.
"""

from __future__ import annotations

from enum import StrEnum


class JobState(StrEnum):
    VALIDATING = "validating"  # being written or checked; nothing runs yet
    QUEUED = "queued"  # waiting for a worker
    RUNNING = "running"  # at least one item was claimed
    FINALIZING = "finalizing"  # every item is final; totals and files are being closed
    PAUSED = "paused"  # nobody claims from it until it is resumed
    CANCELLING = "cancelling"  # asked to stop; what is on a device comes to an end
    COMPLETED = "completed"  # every item has its result
    COMPLETED_WITH_ERRORS = "completed_with_errors"  # every item is final, some have no result
    CANCELLED = "cancelled"
    FAILED = "failed"  # the job as a whole could not be carried out
    DEAD = "dead"  # its workers kept dying
    REJECTED = "rejected"  # it did not pass validation


class ItemState(StrEnum):
    PENDING = "pending"  # waiting for a worker
    LEASED = "leased"  # claimed by an attempt
    DONE = "done"  # drawn by this job
    CACHED = "cached"  # the same recording was already drawn by the same model version
    FAILED = "failed"  # its recording cannot be drawn, or its workers kept dying
    SKIPPED = "skipped"  # left out on purpose
    CANCELLED = "cancelled"


class AttemptState(StrEnum):
    ACTIVE = "active"  # its lease counts
    FINISHED = "finished"  # it brought all its items to an end
    RELEASED = "released"  # it gave unfinished items back
    LOST = "lost"  # its lease ran out or its process is gone


JOB_MOVES: dict[JobState, frozenset[JobState]] = {
    JobState.VALIDATING: frozenset({JobState.QUEUED, JobState.REJECTED, JobState.FAILED}),
    JobState.QUEUED: frozenset(
        {
            JobState.RUNNING,
            JobState.PAUSED,
            JobState.CANCELLING,
            JobState.FINALIZING,
            JobState.FAILED,
            JobState.DEAD,
        }
    ),
    JobState.RUNNING: frozenset(
        {JobState.FINALIZING, JobState.PAUSED, JobState.CANCELLING, JobState.FAILED, JobState.DEAD}
    ),
    JobState.PAUSED: frozenset({JobState.QUEUED, JobState.CANCELLING, JobState.FINALIZING}),
    JobState.CANCELLING: frozenset({JobState.CANCELLED}),
    JobState.FINALIZING: frozenset({JobState.COMPLETED, JobState.COMPLETED_WITH_ERRORS, JobState.FAILED}),
    # Retrying what failed takes a finished job back to the queue.
    JobState.COMPLETED: frozenset(),
    JobState.COMPLETED_WITH_ERRORS: frozenset({JobState.QUEUED}),
    JobState.CANCELLED: frozenset({JobState.QUEUED}),
    JobState.FAILED: frozenset({JobState.QUEUED}),
    JobState.DEAD: frozenset({JobState.QUEUED}),
    JobState.REJECTED: frozenset(),
}

ITEM_MOVES: dict[ItemState, frozenset[ItemState]] = {
    ItemState.PENDING: frozenset(
        {ItemState.LEASED, ItemState.CANCELLED, ItemState.SKIPPED, ItemState.FAILED}
    ),
    ItemState.LEASED: frozenset(
        {ItemState.DONE, ItemState.CACHED, ItemState.FAILED, ItemState.PENDING, ItemState.CANCELLED}
    ),
    ItemState.DONE: frozenset(),
    ItemState.CACHED: frozenset(),
    # Retry.
    ItemState.FAILED: frozenset({ItemState.PENDING}),
    ItemState.CANCELLED: frozenset({ItemState.PENDING}),
    ItemState.SKIPPED: frozenset(),
}

JOB_FINAL = frozenset(
    {
        JobState.COMPLETED,
        JobState.COMPLETED_WITH_ERRORS,
        JobState.CANCELLED,
        JobState.FAILED,
        JobState.DEAD,
        JobState.REJECTED,
    }
)
JOB_CLAIMABLE = frozenset({JobState.QUEUED, JobState.RUNNING})
JOB_RETRYABLE = frozenset(state for state in JOB_FINAL if JobState.QUEUED in JOB_MOVES[state])
ITEM_WITH_FACE = frozenset({ItemState.DONE, ItemState.CACHED})
ITEM_FINAL = frozenset(
    {ItemState.DONE, ItemState.CACHED, ItemState.FAILED, ItemState.SKIPPED, ItemState.CANCELLED}
)
ITEM_RETRYABLE = frozenset({ItemState.FAILED, ItemState.CANCELLED})
