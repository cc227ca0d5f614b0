"""Runs of schedules as rows: entered, moved, cancelled, ended. What moves them on is `core/schedules/advancing.py`.

Whoever changes a run holds its schedule's row first, then the run's, then those of its jobs; always in this order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from core.errors import Conflict, NotFound
from core.identifiers import new_id
from core.jobs import cancel_job
from core.ledger.schedule_tables import Schedule, ScheduleRun
from core.ledger.tables import Job
from core.people.audit import record
from core.schedules.states import RUN_MOVES, RUN_OPEN, RUN_WITH_VERSION, SENTENCES, RunState
from core.states import JOB_FINAL
from core.webhooks import enter_note

Why = Literal["cron", "pairs", "by_hand"]


def hold_schedule(session: Session, schedule_id: str) -> Schedule:
    """Takes a schedule's row until the transaction ends.

    Raises:
        NotFound: there is no such schedule.
    """
    schedule = session.scalar(
        select(Schedule)
        .where(Schedule.id == schedule_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    if schedule is None:
        raise NotFound(f"There is no schedule {schedule_id}.")
    return schedule


def hold_run(session: Session, run_id: str) -> tuple[Schedule, ScheduleRun]:
    """Takes a run's schedule, then the run.

    Raises:
        NotFound: there is no such run.
    """
    schedule_id = session.scalar(select(ScheduleRun.schedule_id).where(ScheduleRun.id == run_id))
    if schedule_id is None:
        raise NotFound(f"There is no run {run_id}.")
    schedule = hold_schedule(session, schedule_id)
    run = session.scalar(
        select(ScheduleRun)
        .where(ScheduleRun.id == run_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    assert run is not None
    return schedule, run


def open_runs(session: Session, schedule_id: str) -> Sequence[ScheduleRun]:
    """Runs that have not ended, oldest first."""
    query = select(ScheduleRun).where(ScheduleRun.schedule_id == schedule_id, ScheduleRun.state.in_(RUN_OPEN))
    return session.scalars(query.order_by(ScheduleRun.id)).all()


def enter_run(
    session: Session,
    schedule: Schedule,
    *,
    fire_time: datetime,
    why: Why,
    at: datetime,
    reason: str = "",
    anyway: bool = False,
) -> ScheduleRun | None:
    """Enters a run of a held schedule, as the schedule deals with runs that overlap.

    Args:
        anyway: train even where nothing is new.

    Returns:
        None where the schedule has fired at this very moment before.
    """
    under_way = open_runs(session, schedule.id)
    skipped = bool(under_way) and schedule.overlap == "skip"
    insert = sqlite.insert if session.get_bind().dialect.name == "sqlite" else postgresql.insert
    run_id = new_id("run")
    session.execute(
        insert(ScheduleRun)
        .values(
            id=run_id,
            schedule_id=schedule.id,
            fire_time=fire_time,
            why=why,
            state=RunState.SKIPPED if skipped else RunState.QUEUED,
            pairs=0,
            result={"anyway": True} if anyway else {},
            reason=SENTENCES[RunState.SKIPPED] if skipped else reason,
            created_at=at,
            ended_at=at if skipped else None,
        )
        .on_conflict_do_nothing()
    )
    run = session.get(ScheduleRun, run_id)
    if run is None:
        return None
    if schedule.overlap == "replace":
        for older in under_way:
            cancel_run(
                session, schedule, older, actor=schedule.id, at=at, reason="A newer run took its place."
            )
    return run


def move_run(session: Session, run: ScheduleRun, new: RunState) -> None:
    """Moves a held run.

    Raises:
        Conflict: the table of moves does not allow it.
    """
    if new not in RUN_MOVES[run.state]:
        raise Conflict(f"A run that is {run.state.value} cannot become {new.value}.")
    run.state = new
    run.ended_at = None
    session.flush()


def end_run(
    session: Session,
    schedule: Schedule,
    run: ScheduleRun,
    new: RunState,
    *,
    at: datetime,
    reason: str = "",
    result: Mapping[str, Any] | None = None,
    actor: str | None = None,
) -> None:
    """Ends a held run: notes why, tells whoever asked, and remembers what was known of the collection."""
    move_run(session, run, new)
    run.ended_at = at
    run.reason = reason or SENTENCES[new]
    run.result = {**run.result, **(result or {})}
    if new in RUN_WITH_VERSION or new is RunState.NOTHING_NEW:
        schedule.pairs_at_last = run.pairs
    details = {"run": run.id, "reason": run.reason}
    record(
        session,
        actor=actor or schedule.id,
        action=f"schedule.run.{new.value}",
        subject=schedule.name,
        details=details,
    )
    enter_note(session, schedule, run, sentence=run.reason, at=at)
    session.flush()


def cancel_run(
    session: Session, schedule: Schedule, run: ScheduleRun, *, actor: str, at: datetime, reason: str = ""
) -> None:
    """Cancels a held run and asks its job to stop; a job that stops leaves a checkpoint.

    Raises:
        Conflict: the run has ended, or its training has and the outcome is about to be noted.
    """
    if run.state not in RUN_OPEN:
        raise Conflict(f"This run has already ended ({run.state.value}); there is nothing to cancel.")
    job = session.get(Job, run.train_job_id or run.prepare_job_id or "", populate_existing=True)
    if job is not None and job.state not in JOB_FINAL:
        cancel_job(session, job.id, actor=actor)
    elif job is not None and run.state is RunState.TRAINING:
        raise Conflict("Its training has just ended; look at the run again in a moment.")
    end_run(session, schedule, run, RunState.CANCELLED, at=at, reason=reason, actor=actor)
