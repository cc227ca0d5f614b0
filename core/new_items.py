"""The items of a new job, as many as 100,000: written and checked many at a time."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import (
    ClauseElement,
    FromClause,
    Integer,
    String,
    Text,
    bindparam,
    case,
    func,
    insert,
    literal,
    select,
)
from sqlalchemy.orm import Session

from core.ledger.prepared import OverRows, table_of
from core.ledger.tables import Item, Job, Recording, RecordingOwner
from core.specs import NewItem
from core.states import ItemState


class NewRow(NamedTuple):
    """An item to be written; also the row of it in the statement below."""

    position: int
    key: str
    name: str
    recording_sha256: str | None = None
    stage: int = 0
    error_code: str | None = None  # of one that fails before anybody worked on it
    error_message: str | None = None


def _enter_items(rows: FromClause, _dialect: str) -> ClauseElement:
    items = table_of(Item)
    failed = rows.c.error_code.is_not(None)
    source = select(
        bindparam("of_job", type_=String()),
        *rows.c,
        case((failed, ItemState.FAILED.value), else_=ItemState.PENDING.value),
        case((failed, bindparam("at", type_=items.c.finished_at.type))),
        literal(0),
        literal(0),
    )
    names = ["job_id", *rows.c.keys(), "state", "finished_at", "attempts", "lost"]
    return insert(items).from_select(names, source)


_ENTER_ITEMS = OverRows(
    {
        "position": Integer(),
        **dict.fromkeys(("key", "name", "recording_sha256"), Text()),
        "stage": Integer(),
        **dict.fromkeys(("error_code", "error_message"), Text()),
    },
    _enter_items,
)


def enter_items(session: Session, job: Job, rows: Sequence[NewRow], *, at: datetime) -> None:
    """Writes the items of a new job: failed where they come with a reason, pending otherwise."""
    _ENTER_ITEMS.count(session, rows, of_job=job.id, at=at)


def row_of(position: int, item: NewItem) -> NewRow:
    """The row of what somebody submitted."""
    if item.recording is None:
        reason = (item.error_code, item.error_message)
        return NewRow(position, item.key, item.name or item.key, None, 0, *reason)
    return NewRow(position, item.key, item.name or item.key, item.recording)


def _count_sent(rows: FromClause, _dialect: str) -> ClauseElement:
    return (
        select(func.count())
        .select_from(rows)
        .join(RecordingOwner, RecordingOwner.sha256 == rows.c.sha256)
        .join(Recording, Recording.sha256 == rows.c.sha256)
        .where(Recording.purged_at.is_(None), RecordingOwner.owner_id == bindparam("owner"))
    )


_COUNT_SENT = OverRows({"sha256": String()}, _count_sent)


def count_sent(session: Session, owner_id: str, recordings: Collection[str]) -> int:
    """How many of these recordings somebody sent, and are still here."""
    return sum(_COUNT_SENT.first_column(session, [(one,) for one in sorted(recordings)], owner=owner_id))
