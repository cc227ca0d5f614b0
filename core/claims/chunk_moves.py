"""The two moves that every item makes, many items at a time: into an attempt's hands, and out of them to its end.

What `core/claims/moves.py` does for any move is done here with fewer and shorter statements, since a queue is as fast
as these: a conditional UPDATE, the same counters, and the same records in the same transaction.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from time import monotonic
from typing import Any, NamedTuple

from sqlalchemy import (
    ClauseElement,
    ColumnElement,
    Float,
    FromClause,
    Integer,
    String,
    Text,
    bindparam,
    case,
    func,
    insert,
    literal,
    literal_column,
    select,
    tuple_,
    update,
)
from sqlalchemy.orm import Session
from sqlalchemy.types import TypeEngine

from core.errors import LeaseLost
from core.ledger.prepared import OverRows, Prepared, table_of
from core.ledger.tables import Item, Job, Transition
from core.states import ItemState

_ITEMS = table_of(Item)
_MOVES = table_of(Transition)
_AT = bindparam("at", type_=_MOVES.c.at.type)
# Spelled out and not a parameter, so that both databases see that the index of what waits answers a question.
IS_PENDING: ColumnElement[bool] = _ITEMS.c.state == literal_column(f"'{ItemState.PENDING.value}'")
IS_LEASED: ColumnElement[bool] = _ITEMS.c.state == literal_column(f"'{ItemState.LEASED.value}'")


class Run(NamedTuple):
    """Waiting items of a job that lie beside each other in the order of claims."""

    stage: int
    lost: int
    first: int  # position
    last: int


_IN_TURN = (
    select(_ITEMS.c.stage, _ITEMS.c.lost, _ITEMS.c.position)
    .where(_ITEMS.c.job_id == bindparam("of_job"), IS_PENDING)
    .order_by(_ITEMS.c.stage, _ITEMS.c.lost, _ITEMS.c.position)
    .limit(bindparam("size", type_=Integer()))
)
_FROM_THE_FRONT = Prepared(_IN_TURN)
_FROM_THERE_ON = Prepared(
    _IN_TURN.where(
        tuple_(_ITEMS.c.stage, _ITEMS.c.lost, _ITEMS.c.position)
        > tuple_(*(bindparam(name, type_=Integer()) for name in ("stage_", "lost_", "last")))
    )
)
# What was given back before the place that a worker has reached waits no longer than this for it.
_LOOK_AT_FRONT_SECONDS = 60.0
_MANY_JOBS = 64
_reached: dict[str, tuple[Run, float]] = {}  # by job: the last run, and when to look from the front again


def items_in_turn(session: Session, job: Job, size: int) -> list[tuple[int, int, int]]:
    """Stage, losses and position of the next waiting items of a held job, in the order of claims.

    PostgreSQL keeps the index entries of items that were claimed until a vacuum, and longer where somebody reads the
    whole ledger; looking from the front walks over all of them. So a process mostly goes on where it last was.
    """
    last, until = _reached.get(job.id, (None, 0.0))
    # Of other kinds nothing may be passed by: their later stages wait for the earlier ones.
    if last is not None and job.kind == "infer" and monotonic() < until:
        beyond = {"stage_": last.stage, "lost_": last.lost, "last": last.last}
        if found := _FROM_THERE_ON.rows(session, of_job=job.id, size=size, **beyond):
            return found
    _reached.pop(job.id, None)
    return _FROM_THE_FRONT.rows(session, of_job=job.id, size=size)


def _remember(session: Session, job: Job, run: Run) -> None:
    if session.get_bind().dialect.name != "postgresql":
        return
    if len(_reached) >= _MANY_JOBS:
        _reached.clear()
    _, until = _reached.get(job.id, (None, monotonic() + _LOOK_AT_FRONT_SECONDS))
    _reached[job.id] = (run, until)


_IN_RUN = (
    (_ITEMS.c.job_id == bindparam("of_job"))
    & IS_PENDING
    & (_ITEMS.c.stage == bindparam("stage_"))
    & (_ITEMS.c.lost == bindparam("lost_"))
    & _ITEMS.c.position.between(bindparam("first", type_=Integer()), bindparam("last", type_=Integer()))
)
_RECORD_LEASES = Prepared(
    insert(_MOVES).from_select(
        ["job_id", "item_id", "old", "new", "actor", "token", "at"],
        select(
            _ITEMS.c.job_id,
            _ITEMS.c.id,
            _ITEMS.c.state,
            literal(ItemState.LEASED.value),
            bindparam("by", type_=String()),
            bindparam("fence", type_=_MOVES.c.token.type),
            _AT,
        )
        .where(_IN_RUN)
        .order_by(_ITEMS.c.position),
    )
)
_LEASE_ITEMS = Prepared(
    update(_ITEMS)
    .where(_IN_RUN)
    .values(
        state=ItemState.LEASED,
        attempt_id=bindparam("attempt"),
        token=bindparam("fence"),
        attempts=_ITEMS.c.attempts + 1,
    )
)


def lease_items(
    session: Session, job: Job, run: Run, *, attempt_id: str, token: int, actor: str, at: datetime
) -> int:
    """Puts a run of waiting items of a held job into an attempt's hands; answers how many."""
    where = {"of_job": job.id, "stage_": run.stage, "lost_": run.lost, "first": run.first, "last": run.last}
    _RECORD_LEASES.count(session, by=actor, fence=token, at=at, **where)
    moved = _LEASE_ITEMS.count(session, attempt=attempt_id, fence=token, **where)
    job.pending -= moved
    job.leased += moved
    _remember(session, job, run)
    return moved


class ItemEnd(NamedTuple):
    """What an attempt made of an item; also the row of it in the statements below."""

    item_id: int
    state: ItemState  # pending once more if its turn has to come again
    drawing_id: str | None = None
    seconds: float | None = None
    error_code: str | None = None
    error_message: str | None = None


_END_COLUMNS: dict[str, TypeEngine[Any]] = {
    "item_id": _ITEMS.c.id.type,
    "state": String(),
    "drawing_id": String(),
    "seconds": Float(),
    "error_code": String(),
    "error_message": Text(),
}


def _end_items(rows: FromClause, _dialect: str) -> ClauseElement:
    def found_by_id(column: ColumnElement[Any]) -> ColumnElement[Any]:
        """The column and no index of it: SQLite would rather walk all that is leased for each of the rows."""
        return func.coalesce(column, column)

    return (
        update(_ITEMS)
        .where(
            _ITEMS.c.id == rows.c.item_id,
            found_by_id(_ITEMS.c.state) == ItemState.LEASED.value,
            found_by_id(_ITEMS.c.attempt_id) == bindparam("attempt"),
            _ITEMS.c.token == bindparam("fence"),
        )
        .values(
            state=rows.c.state,
            finished_at=case((rows.c.state != ItemState.PENDING.value, _AT)),
            drawing_id=rows.c.drawing_id,
            seconds=rows.c.seconds,
            error_code=rows.c.error_code,
            error_message=rows.c.error_message,
        )
    )


def _record_ends(rows: FromClause, _dialect: str) -> ClauseElement:
    source = select(
        bindparam("of_job", type_=String()),
        rows.c.item_id,
        literal(ItemState.LEASED.value),
        rows.c.state,
        bindparam("by", type_=String()),
        bindparam("fence", type_=_MOVES.c.token.type),
        _AT,
    )
    return insert(_MOVES).from_select(["job_id", "item_id", "old", "new", "actor", "token", "at"], source)


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
    """Moves items of a held job that a held attempt has, each to a state of its own.

    Raises:
        LeaseLost: one of them is not that attempt's any more; the transaction must be given up.
    """
    moved = _END_ITEMS.count(session, ends, attempt=attempt_id, fence=token, at=at)
    if moved != len(ends):
        raise LeaseLost()
    _RECORD_ENDS.count(session, ends, of_job=job.id, by=actor, fence=token, at=at)
    job.leased -= moved
    for state, count in Counter(one.state for one in ends).items():
        setattr(job, state.value, getattr(job, state.value) + count)
