"""The one door for changes of state: every move is a conditional UPDATE, counted and recorded in its transaction.

The two moves that every item of a job makes, into an attempt's hands and out of them, have a quicker way through it in
`core/claims/chunk_moves.py`.

Whoever moves something of a job holds that job's row first (`hold_job`). On PostgreSQL this makes the moves of one
job take turns, so that counters, items and transitions cannot drift apart; on SQLite the write transaction does.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, func, insert, literal, select, update
from sqlalchemy.orm import Session

from core.errors import Conflict, NotFound
from core.job_notes import enter_job_note
from core.ledger.tables import Item, Job, Transition
from core.specs import PROGRAM_KINDS
from core.states import ITEM_FINAL, ITEM_MOVES, JOB_FINAL, JOB_MOVES, ItemState, JobState

# The column that remembers when a job reached a state; states without one are told by their transition alone.
_REACHED_AT: dict[JobState, str] = {
    JobState.QUEUED: "queued_at",
    JobState.PAUSED: "paused_at",
    JobState.FINALIZING: "finalizing_at",
    **dict.fromkeys(JOB_FINAL, "finished_at"),
}


def hold_job(session: Session, job_id: str, *, for_deletion: bool = False) -> Job:
    """Takes the job's row until the transaction ends.

    Args:
        for_deletion: nobody may enter rows that name the job meanwhile, either.

    Raises:
        NotFound: there is no such job.
    """
    job = session.scalar(
        select(Job)
        .where(Job.id == job_id)
        .with_for_update(key_share=not for_deletion)
        .execution_options(populate_existing=True)
    )
    if job is None:
        raise NotFound(f"There is no job {job_id}.")
    return job


def move_job(
    session: Session, job: Job, new: JobState, *, actor: str, at: datetime, reason: str | None = None
) -> None:
    """Moves a held job.

    Raises:
        Conflict: the table of moves does not allow it.
    """
    old = job.state
    if new not in JOB_MOVES[old]:
        raise Conflict(f"A job that is {old.value} cannot become {new.value}.")
    job.state = new
    if new in _REACHED_AT:
        setattr(job, _REACHED_AT[new], at)
    if new is JobState.RUNNING and job.started_at is None:
        job.started_at = at
    if old in JOB_FINAL:  # a retry opens it again
        job.finished_at = job.finalizing_at = job.cancel_requested_at = None
        job.error_code = job.error_message = None
        job.rate_per_second = job.rated_at = None
    session.add(
        Transition(
            job_id=job.id, old=old.value, new=new.value, actor=actor, reason=reason, at=at, token=job.token
        )
    )
    if new in JOB_FINAL:
        enter_job_note(session, job, at=at)
    session.flush()


def move_items(
    session: Session,
    job: Job,
    which: ColumnElement[bool],
    new: ItemState,
    *,
    actor: str,
    at: datetime,
    token: int | None = None,
    reason: str | None = None,
    values: Mapping[str, Any] | None = None,
) -> int:
    """Moves those items of a held job that `which` names and whose state allows it; answers how many moved.

    Args:
        which: a condition on `Item`; the job and the allowed states are added here.
        values: further columns to set in the same UPDATE.
    """
    sources = [state for state, targets in ITEM_MOVES.items() if new in targets]
    condition = and_(Item.job_id == job.id, Item.state.in_(sources), which)
    moved = {
        ItemState(state): count
        for state, count in session.execute(
            select(Item.state, func.count()).where(condition).group_by(Item.state)
        )
    }
    if not moved:
        return 0
    session.execute(
        insert(Transition).from_select(
            ["job_id", "item_id", "old", "new", "actor", "token", "reason", "at"],
            select(
                Item.job_id,
                Item.id,
                Item.state,
                literal(new.value),
                literal(actor),
                literal(token),
                literal(reason),
                literal(at, Transition.at.type),
            )
            .where(condition)
            .order_by(Item.id),
        )
    )
    settings = {"state": new, "finished_at": at if new in ITEM_FINAL else None, **(values or {})}
    session.execute(
        update(Item).where(condition).values(settings), execution_options={"synchronize_session": False}
    )
    for state, count in moved.items():
        setattr(job, state.value, getattr(job, state.value) - count)
    total = sum(moved.values())
    setattr(job, new.value, getattr(job, new.value) + total)
    session.flush()
    return total


def settle_job(session: Session, job: Job, *, actor: str, at: datetime) -> bool:
    """Brings a held job to its end once none of its items is still to be done; answers whether it did."""
    if job.pending or job.leased or job.state in JOB_FINAL or job.state is JobState.VALIDATING:
        return False
    if job.state is JobState.CANCELLING:
        move_job(session, job, JobState.CANCELLED, actor=actor, at=at)
        return True
    move_job(session, job, JobState.FINALIZING, actor=actor, at=at)
    if job.kind in PROGRAM_KINDS and job.failed:
        # Half a training is none.
        failed = select(Item.error_code, Item.error_message).where(
            Item.job_id == job.id, Item.state == ItemState.FAILED
        )
        job.error_code, job.error_message = session.execute(failed.order_by(Item.position).limit(1)).one()
        move_job(session, job, JobState.FAILED, actor=actor, at=at, reason=job.error_code)
        return True
    whole = not (job.failed or job.cancelled)
    move_job(
        session, job, JobState.COMPLETED if whole else JobState.COMPLETED_WITH_ERRORS, actor=actor, at=at
    )
    return True
