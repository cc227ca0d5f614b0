"""The words people read for states. Apart from the states, so that a translation touches nothing that decides."""

from __future__ import annotations

from core.states import ItemState, JobState

JOB_WORDS: dict[JobState, str] = {
    JobState.VALIDATING: "Checking",
    JobState.QUEUED: "Waiting",
    JobState.RUNNING: "Drawing",
    JobState.FINALIZING: "Finishing",
    JobState.PAUSED: "Paused",
    JobState.CANCELLING: "Stopping",
    JobState.COMPLETED: "Done",
    JobState.COMPLETED_WITH_ERRORS: "Done, some without a face",
    JobState.CANCELLED: "Cancelled",
    JobState.FAILED: "Failed",
    JobState.DEAD: "Given up",
    JobState.REJECTED: "Refused",
}

ITEM_WORDS: dict[ItemState, str] = {
    ItemState.PENDING: "Waiting",
    ItemState.LEASED: "Drawing",
    ItemState.DONE: "Drawn",
    ItemState.CACHED: "Drawn before",
    ItemState.FAILED: "No face",
    ItemState.SKIPPED: "Left out",
    ItemState.CANCELLED: "Cancelled",
}
