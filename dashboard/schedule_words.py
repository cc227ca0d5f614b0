"""The words people read for schedules and their runs."""

from __future__ import annotations

from core.schedules.states import RunState

RUN_WORDS: dict[RunState, str] = {
    RunState.QUEUED: "Waiting",
    RunState.PREPARING: "Preparing",
    RunState.TRAINING: "Training",
    RunState.PROMOTED: "Promoted",
    RunState.KEPT: "Kept as candidate",
    RunState.NOTHING_NEW: "Nothing new",
    RunState.FAILED: "Failed",
    RunState.CANCELLED: "Cancelled",
    RunState.SKIPPED: "Skipped",
}
# The colours of states of jobs, which mean the same here.
RUN_CHIPS: dict[RunState, str] = {
    RunState.QUEUED: "queued",
    RunState.PREPARING: "running",
    RunState.TRAINING: "running",
    RunState.PROMOTED: "completed",
    RunState.KEPT: "completed",
    RunState.NOTHING_NEW: "skipped",
    RunState.FAILED: "failed",
    RunState.CANCELLED: "cancelled",
    RunState.SKIPPED: "skipped",
}
WHY_WORDS = {"cron": "by the clock", "pairs": "for new pairs", "by_hand": "by hand"}
OVERLAP_WORDS = {
    "skip": ("Skip the new run", "skipped"),
    "queue": ("Let the new run wait", "queued"),
    "replace": ("Cancel the old run", "replaced"),
}
CATCH_UP_WORDS = {
    "last": "Make up for the last",
    "none": "Make up for none",
    "all": "Make up for all",
}
# Expressions to begin with, and what they are called in the form.
COMMON = {
    "0 3 * * 1": "Every Monday at 03:00",
    "0 3 * * *": "Every day at 03:00",
    "0 3 1 * *": "On the first of the month at 03:00",
    "0 * * * *": "Every hour",
}
# Names that stand in what a cron expression says.
DAY_AND_MONTH_WORDS = {
    name: name
    for name in (
        "Monday",
        "Tuesday",
        "Wednesday",
        "Thursday",
        "Friday",
        "Saturday",
        "Sunday",
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    )
}
# What a gate may go by, most useful first; any other name of a metric is taken as well.
GATE_METRICS = (
    "matching.voice_to_face.2",
    "matching.voice_to_face.10",
    "matching.face_to_voice.2",
    "matching.face_to_voice.10",
    "auc",
    "retrieval.r1",
    "retrieval.r10",
    "embedding.cosine",
    "embedding.l1",
    "ssim",
    "lpips",
    "frechet",
    "landmarks.normalised",
    "vggface_score",
)
