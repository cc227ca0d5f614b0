"""Takes runs of schedules on: looks how their jobs have ended, and makes the next one.

Nothing is kept in memory between two looks, and a job's idempotency key is the run's, so a look may be killed anywhere
and repeated by anybody.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from core.datasets.collection_planning import plan_collection
from core.datasets.preparing import create_prepare_job
from core.datasets.queries import dataset_of
from core.errors import InvalidRequest, Permanent, QuotaExceeded, Retryable
from core.ledger.database import Database, now
from core.ledger.schedule_tables import Schedule, ScheduleRun
from core.ledger.tables import DatasetVersion, Item, Job, User
from core.ledger.training_tables import JobFile
from core.schedules.firing import Pairs
from core.schedules.runs import end_run, hold_run, move_run, open_runs
from core.schedules.specs import Retraining
from core.schedules.states import RUN_OPEN, RUN_WITH_VERSION, SENTENCES, RunState
from core.schedules.warm_start import parent_of
from core.states import ITEM_RETRYABLE, JOB_FINAL, JobState
from core.store import Store
from core.training.jobs import create_program_job

log = structlog.get_logger()

Clock = Callable[[Session], datetime]

RESULT = "result.json"
_AT_ONCE = 200
_JOB_STATES: dict[JobState, str] = {
    JobState.CANCELLED: "was cancelled",
    JobState.DEAD: "was given up: its workers kept dying",
    JobState.REJECTED: "was refused",
}


def advance(database: Database, store: Store, pairs: Pairs, *, queue: str = "gpu", clock: Clock = now) -> int:
    """Looks at every run that has not ended, or whose job was retried; answers how many moved."""
    moved = 0
    for run_id, state in _to_look_at(database):
        step = _STEPS[state]
        try:
            moved += step(_Look(database, store, pairs, queue, clock), run_id)
        except (Retryable, SQLAlchemyError) as error:
            log.warning("looked in vain", run=run_id, reason=str(error).splitlines()[0])
        except Exception:
            # One run must not keep the others from being looked at; this one is looked at again.
            log.exception("a run cannot be taken on", run=run_id)
    return moved


class _Look:
    """What a look at a run works with."""

    def __init__(self, database: Database, store: Store, pairs: Pairs, queue: str, clock: Clock) -> None:
        self.database, self.store, self.pairs, self.queue, self.clock = database, store, pairs, queue, clock


def _to_look_at(database: Database) -> list[tuple[str, RunState]]:
    with database.read() as session:
        waiting = session.execute(
            select(ScheduleRun.id, ScheduleRun.state)
            .where(ScheduleRun.state.in_(RUN_OPEN))
            .order_by(ScheduleRun.id)
            .limit(_AT_ONCE)
        )
        found = [(run_id, state) for run_id, state in waiting]
        job = Job.id.in_([ScheduleRun.prepare_job_id, ScheduleRun.train_job_id])
        # A job that was retried is at work again, or has even come to a good end since its run ended.
        at_work = Job.state.not_in([*JOB_FINAL, JobState.CANCELLING])
        went_well = (Job.state == JobState.COMPLETED) & (Job.finished_at > ScheduleRun.ended_at)
        retried = session.execute(
            select(ScheduleRun.id, ScheduleRun.state)
            .join(Job, job)
            .where(ScheduleRun.state.in_([RunState.FAILED, RunState.CANCELLED]), at_work | went_well)
            .limit(_AT_ONCE)
        )
        return found + list(dict.fromkeys((run_id, state) for run_id, state in retried))


def _start(look: _Look, run_id: str) -> bool:
    """A queued run begins once no earlier one of its schedule is under way, nor a job of one still stopping."""
    with look.database.read() as session:
        run = session.get_one(ScheduleRun, run_id)
        schedule = session.get_one(Schedule, run.schedule_id)
        if _is_in_the_way(session, run):
            return False
        problem = _why_not(session, schedule)
    if problem:
        return _fail(look, run_id, RunState.QUEUED, problem)
    template = Retraining.model_validate(schedule.template)
    try:
        pairs = look.pairs.count(template.source)
        plan = plan_collection(look.database, look.store, template.source, template.recipe)
        with look.database.write() as session:
            schedule, run = hold_run(session, run_id)
            if run.state is not RunState.QUEUED:
                return False
            job = create_prepare_job(
                session,
                owner_id=schedule.owner_id,
                dataset=template.dataset_name,
                plan=plan,
                queue=look.queue,
                name=f"{schedule.name}: dataset {template.dataset_name}",
                idempotency_key=f"{run.id}:prepare",
            )
            run.prepare_job_id, run.pairs = job.id, pairs
            move_run(session, run, RunState.PREPARING)
    except Permanent as error:
        return _fail(look, run_id, RunState.QUEUED, error.message)
    return True


def _train(look: _Look, run_id: str) -> bool:
    """A run whose dataset is there trains on it, unless it was trained on before."""
    try:
        with look.database.write() as session:
            schedule, run = hold_run(session, run_id)
            job = session.get(Job, run.prepare_job_id or "")
            if run.state is not RunState.PREPARING or job is None or job.state not in JOB_FINAL:
                return False
            dataset = dataset_of(session, job) if job.state is JobState.COMPLETED else None
            at = look.clock(session)
            if dataset is None:
                _end_with(session, schedule, run, job, "preparation", at)
                return True
            template = Retraining.model_validate(schedule.template)
            result = {
                "dataset": dataset.label,
                "dataset_id": dataset.id,
                "training": template.training.model_dump(mode="json"),
            }
            if not run.result.get("anyway") and _was_trained_on(session, run, result):
                end_run(
                    session, schedule, run, RunState.NOTHING_NEW, at=at, result={"dataset": dataset.label}
                )
                return True
            _enter_training(session, look, schedule, run, template, dataset, result)
    except (InvalidRequest, QuotaExceeded) as error:
        return _fail(look, run_id, RunState.PREPARING, error.message)
    return True


def _enter_training(
    session: Session,
    look: _Look,
    schedule: Schedule,
    run: ScheduleRun,
    template: Retraining,
    dataset: DatasetVersion,
    result: dict[str, Any],
) -> None:
    owner = session.get_one(User, schedule.owner_id)
    parent, remark = None, ""
    if template.warm_start:
        parent = parent_of(session, owner, template.training, dataset.label)
        if parent is None:
            remark = "There is no earlier version to start from yet, so it starts from scratch."
    job = create_program_job(
        session,
        owner_id=schedule.owner_id,
        spec=template.training.spec(dataset.label, parent),
        queue=look.queue,
        name=f"{schedule.name}: train {template.training.model}",
        idempotency_key=f"{run.id}:train",
    )
    run.train_job_id = job.id
    run.result = {**run.result, **result, "parent": parent, "remark": remark}
    move_run(session, run, RunState.TRAINING)


def _finish(look: _Look, run_id: str) -> bool:
    """A run whose training has ended says what came of it."""
    with look.database.read() as session:
        run = session.get_one(ScheduleRun, run_id)
        job = session.get(Job, run.train_job_id or "")
        if job is None or job.state not in JOB_FINAL:
            return False
        key = session.scalar(
            select(JobFile.object_key).where(JobFile.job_id == job.id, JobFile.name == RESULT)
        )
    outcome: dict[str, Any] = {}
    if job.state is JobState.COMPLETED and key is not None:
        outcome = json.loads(look.store.get(key))
    with look.database.write() as session:
        schedule, run = hold_run(session, run_id)
        job = session.get(Job, run.train_job_id or "", populate_existing=True)
        if run.state is not RunState.TRAINING or job is None or job.state not in JOB_FINAL:
            return False
        at = look.clock(session)
        if job.state is not JobState.COMPLETED:
            _end_with(session, schedule, run, job, "training", at)
            return True
        told = {name: outcome.get(name) for name in ("version", "versions", "evaluation", "gate", "promoted")}
        new = RunState.PROMOTED if outcome.get("promoted") else RunState.KEPT
        end_run(session, schedule, run, new, at=at, reason=_outcome_in_words(outcome, new), result=told)
    return True


def _reopen(look: _Look, run_id: str) -> bool:
    """A run whose job was retried is under way again."""
    with look.database.write() as session:
        _, run = hold_run(session, run_id)
        if run.state not in (RunState.FAILED, RunState.CANCELLED):
            return False
        move_run(session, run, RunState.TRAINING if run.train_job_id else RunState.PREPARING)
        run.reason = "Its job was retried."
    return True


_STEPS: dict[RunState, Callable[[_Look, str], bool]] = {
    RunState.QUEUED: _start,
    RunState.PREPARING: _train,
    RunState.TRAINING: _finish,
    RunState.FAILED: _reopen,
    RunState.CANCELLED: _reopen,
}


def _is_in_the_way(session: Session, run: ScheduleRun) -> bool:
    if any(other.id < run.id for other in open_runs(session, run.schedule_id)):
        return True
    stopping = (
        select(Job.id)
        .join(ScheduleRun, Job.id.in_([ScheduleRun.prepare_job_id, ScheduleRun.train_job_id]))
        .where(ScheduleRun.schedule_id == run.schedule_id, Job.state == JobState.CANCELLING)
    )
    return session.scalar(stopping.limit(1)) is not None


def _why_not(session: Session, schedule: Schedule) -> str:
    owner = session.get(User, schedule.owner_id)
    if owner is None or owner.disabled_at is not None:
        name = "somebody who is gone" if owner is None else owner.name
        return f"The schedule is {name}'s, whose account is closed. Somebody else has to make it anew."
    return ""


def _was_trained_on(session: Session, run: ScheduleRun, result: dict[str, Any]) -> bool:
    """Whether the last version of this schedule came of the same dataset in the same way."""
    last = session.scalar(
        select(ScheduleRun)
        .where(ScheduleRun.schedule_id == run.schedule_id, ScheduleRun.state.in_(RUN_WITH_VERSION))
        .order_by(ScheduleRun.id.desc())
        .limit(1)
    )
    return last is not None and all(last.result.get(name) == value for name, value in result.items())


def _end_with(
    session: Session, schedule: Schedule, run: ScheduleRun, job: Job, what: str, at: datetime
) -> None:
    """Ends a run whose job did not end well, with what that job says."""
    if job.state is JobState.CANCELLED:
        end_run(session, schedule, run, RunState.CANCELLED, at=at, reason=f"Its {what} was cancelled.")
        return
    message = job.error_message or session.scalar(
        select(Item.error_message)
        .where(Item.job_id == job.id, Item.state.in_(ITEM_RETRYABLE), Item.error_message.is_not(None))
        .order_by(Item.stage, Item.position)
        .limit(1)
    )
    how = _JOB_STATES.get(job.state, "failed")
    reason = f"Its {what} {how}." + (f" {message}" if message else "")
    end_run(session, schedule, run, RunState.FAILED, at=at, reason=reason)


def _fail(look: _Look, run_id: str, expected: RunState, reason: str) -> bool:
    with look.database.write() as session:
        schedule, run = hold_run(session, run_id)
        if run.state is not expected:
            return False
        end_run(session, schedule, run, RunState.FAILED, at=look.clock(session), reason=reason)
    return True


def _outcome_in_words(outcome: dict[str, Any], state: RunState) -> str:
    version = outcome.get("version")
    gate = outcome.get("gate") or {}
    words = f"{version} was promoted." if state is RunState.PROMOTED else f"{version} is kept as a candidate."
    if not version:
        words = SENTENCES[state]
    return f"{words} {gate['sentence']}" if gate.get("sentence") else words
