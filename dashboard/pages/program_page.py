"""The page of a job that is a program: a training, an evaluation, an analysis.

`job_page.py` hands such jobs over. The summary and the outcome are fetched again when the job's events say that
something moved; curves, pictures and the log are fetched as data and drawn by scripts.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from core.costs import cost_of, prices_of
from core.errors import NotFound
from core.ledger.tables import Job, ModelVersion
from core.ledger.training_tables import JobFile, TrainingProgress
from core.queries import errors_by_code, last_transition_id
from core.states import JOB_FINAL, JOB_RETRYABLE, JobState
from core.training.queries import (
    CHECKPOINT_KINDS,
    files_of,
    list_evaluations,
    log_after,
    owner_name,
    progress_of,
    trained_models,
)
from dashboard.end_notes import told_of_end
from dashboard.identity import viewer
from dashboard.job_reports import report_of
from dashboard.permissions import may_change, may_change_models
from dashboard.services import services

_LINES = 300


@dataclass(frozen=True)
class Result:
    """What a training came to, as its `result.json` says."""

    version: str = ""
    promoted: bool = False
    gate: dict[str, Any] | None = None


def summary(session: Session, job: Job) -> dict[str, object]:
    """What the head of the page shows, and what there is to take away."""
    user = viewer()
    mine = may_change(user, job) and may_change_models(user)
    final = job.state in JOB_FINAL
    progress = progress_of(session, job.id)
    files = files_of(session, job.id)
    unfinished = job.failed + job.cancelled > 0
    return {
        "job": job,
        "owner": owner_name(session, job),
        "progress": progress,
        "share": _share(job, progress),
        "eta": _eta(job, progress),
        "cost": cost_of(session, job, prices_of(services().settings)),
        "seen": last_transition_id(session, job.id),
        "final": final,
        "errors": errors_by_code(session, job.id) if job.failed else [],
        "checkpoints": sorted(
            (file for file in files if file.kind in CHECKPOINT_KINDS),
            key=lambda file: (file.kind != "best", -(file.step or 0)),
        ),
        "best_step": next((file.step for file in files if file.kind == "best"), None),
        "kept": _downloads(files),
        "models": _models(session, job),
        "result": _result(files) if final else Result(),
        "evaluations": list_evaluations(session, user, job_id=job.id),
        "webhook": told_of_end(session, job),
        "can": {
            "cancel": mine and not final and job.state is not JobState.CANCELLING,
            "pause": mine and job.state is JobState.QUEUED,
            "resume": mine and job.state is JobState.PAUSED,
            "continue": mine and job.state in JOB_RETRYABLE and unfinished,
            "again": may_change_models(user) and final,
        },
    }


def whole(session: Session, job: Job) -> dict[str, object]:
    """Everything the page shows before its scripts run."""
    files = files_of(session, job.id)
    return {
        **summary(session, job),
        "lines": log_after(session, job.id, None, limit=_LINES),
        "samples": sorted((file for file in files if file.kind == "sample"), key=lambda file: file.name),
        "report": report_of(services().store, files) if job.kind == "analyse" else None,
        "second_phase": _second_phase(job),
    }


def _share(job: Job, progress: TrainingProgress | None) -> float:
    """How much of its steps a program has done, in percent."""
    if job.state is JobState.COMPLETED:
        return 100.0
    return round(min(100.0, 100 * progress.step / progress.steps), 3) if progress and progress.steps else 0.0


def _eta(job: Job, progress: TrainingProgress | None) -> float | None:
    """Seconds that are left, counted from now; what was told a minute ago is a minute less."""
    if progress is None or progress.eta_seconds is None or job.state is not JobState.RUNNING:
        return None
    return max(0.0, progress.eta_seconds - (datetime.now(progress.at.tzinfo) - progress.at).total_seconds())


def _models(session: Session, job: Job) -> Sequence[ModelVersion]:
    return trained_models(session, job.id) if job.kind == "train" else ()


def _downloads(files: Sequence[JobFile]) -> dict[str, int]:
    """Bytes of what can be taken away, by kind."""
    sizes: dict[str, int] = {}
    for file in files:
        sizes[file.kind] = sizes.get(file.kind, 0) + file.size_bytes
    return sizes


def _result(files: Sequence[JobFile]) -> Result:
    for file in files:
        if file.kind == "result":
            try:
                told = json.loads(services().store.get(file.object_key))
            except NotFound:
                break
            return Result(told.get("version") or "", bool(told.get("promoted")), told.get("gate"))
    return Result()


def _second_phase(job: Job) -> int | None:
    """The epoch behind which the second phase begins; None where there is one phase, or the first may end early."""
    recipe = job.spec.get("recipe", {})
    first = recipe.get("loop", {})
    if not recipe.get("fine_tune") or first.get("patience") or first.get("max_steps"):
        return None
    epochs: int = first["epochs"]
    return epochs
