"""The one door for changes of state: every move is a conditional UPDATE, counted and recorded in its transaction.

Whoever moves something of a job holds that job's row first (`hold_job`). On PostgreSQL this makes the moves of one
job take turns, so that counters, items and transitions cannot drift apart; on SQLite the write transaction does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple, cast

from sqlalchemy import (
    ClauseElement,
    ColumnElement,
    CursorResult,
    Float,
    FromClause,
    String,
    Text,
    and_,
    bindparam,
    case,
    func,
    insert,
    literal,
    select,
    update,
)
from sqlalchemy.orm import Session
from sqlalchemy.types import TypeEngine

from core.errors import Conflict, LeaseLost, NotFound
from core.job_notes import enter_job_note
from core.row_sets import OverRows, table_of
from core.specs import PROGRAM_KINDS
from core.states import ITEM_FINAL, ITEM_MOVES, JOB_FINAL, JOB_MOVES, ItemState, JobState
from core.tables import Item, Job, Transition

# The column that remembers when a job reached a state; states without one are told by their transition alone.
_REACHED_AT: dict[JobState, str] = {
    JobState.QUEUED: "queued_at",
    JobState.PAUSED: "paused_at",
    JobState.FINALIZING: "finalizing_at",
    **dict.fromkeys(JOB_FINAL, "finished_at"),
}


def hold_job(session: Session, job_id: str) -> Job:
    """Takes the job's row until the transaction ends.

    Raises:
        NotFound: there is no such job.
    """
    job = session.scalar(
        select(Job).where(Job.id == job_id).with_for_update().execution_options(populate_existing=True)
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
    old: ItemState | None = None,
) -> int:
    """Moves those items of a held job that `which` names and whose state allows it; answers how many moved.

    Args:
        which: a condition on `Item`; the job and the allowed states are added here.
        values: further columns to set in the same UPDATE.
        old: only those in this state; they need not be counted by their states first.
    """
    sources = [state for state, targets in ITEM_MOVES.items() if new in targets and old in (state, None)]
    condition = and_(Item.job_id == job.id, Item.state.in_(sources), which)
    moved: dict[ItemState, int] = {}
    if old is None:
        counts = select(Item.state, func.count()).where(condition).group_by(Item.state)
        moved = {ItemState(state): count for state, count in session.execute(counts)}
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
    written = session.execute(
        update(Item).where(condition).values(settings), execution_options={"synchronize_session": False}
    )
    if old is not None:
        moved = {old: cast(CursorResult[Any], written).rowcount}
    for state, count in moved.items():
        setattr(job, state.value, getattr(job, state.value) - count)
    total = sum(moved.values())
    setattr(job, new.value, getattr(job, new.value) + total)
    session.flush()
    return total


class ItemEnd(NamedTuple):
    """What an attempt made of an item; also the row of it in the statements below."""

    item_id: int
    state: ItemState  # pending once more if its turn has to come again
    drawing_id: str | None = None
    seconds: float | None = None
    error_code: str | None = None
    error_message: str | None = None


_END_COLUMNS: dict[str, TypeEngine[Any]] = {
    "item_id": table_of(Item).c.id.type,
    "state": String(),
    "drawing_id": String(),
    "seconds": Float(),
    "error_code": String(),
    "error_message": Text(),
}


def _end_items(rows: FromClause, _dialect: str) -> ClauseElement:
    items = table_of(Item)
    at = bindparam("at", type_=items.c.finished_at.type)
    return (
        update(items)
        .where(
            items.c.id == rows.c.item_id,
            items.c.job_id == bindparam("of_job"),
            items.c.state == ItemState.LEASED,
            items.c.attempt_id == bindparam("attempt"),
            items.c.token == bindparam("fence"),
        )
        .values(
            state=rows.c.state,
            finished_at=case((rows.c.state != ItemState.PENDING.value, at)),
            drawing_id=rows.c.drawing_id,
            seconds=rows.c.seconds,
            error_code=rows.c.error_code,
            error_message=rows.c.error_message,
        )
    )


def _record_ends(rows: FromClause, _dialect: str) -> ClauseElement:
    moves = table_of(Transition)
    source = select(
        bindparam("of_job", type_=String()),
        rows.c.item_id,
        literal(ItemState.LEASED.value),
        rows.c.state,
        bindparam("by", type_=String()),
        bindparam("fence", type_=moves.c.token.type),
        bindparam("at", type_=moves.c.at.type),
    )
    return insert(moves).from_select(["job_id", "item_id", "old", "new", "actor", "token", "at"], source)


_END_ITEMS = OverRows(_END_COLUMNS, _end_items)
_RECORD_ENDS = OverRows(_END_COLUMNS, _record_ends)


def end_items(
    session: Session,
    job: Job,
    ends: Sequence[ItemEnd],
    *,
    attempt_id: str,
    token: int,
    actor: str,
    at: datetime,
) -> None:
    """Moves items of a held job that an attempt holds, each to a state of its own.

    Raises:
        LeaseLost: one of them is not that attempt's any more; the transaction must be given up.
    """
    given = {"of_job": job.id, "fence": token, "at": at}
    moved = _END_ITEMS.count(session, ends, attempt=attempt_id, **given)
    if moved != len(ends):
        raise LeaseLost()
    _RECORD_ENDS.count(session, ends, by=actor, **given)
    job.leased -= moved
    for state, count in Counter(one.state for one in ends).items():
        setattr(job, state, getattr(job, state) + count)
    session.flush()


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
