"""Stars and notes on faces: one for each item, seen by everybody who may see its job."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, func, insert, select, update
from sqlalchemy.orm import Session

from core.errors import NotFound
from core.ledger.database import now
from core.ledger.mark_tables import FaceMark
from core.ledger.tables import Item, Job

LONGEST_NOTE = 2000
MOST_AT_ONCE = 10_000
_ROWS_AT_ONCE = 500
# Marks of other transactions may have a slightly earlier time than those that were seen before them.
_OVERLAP = timedelta(seconds=2)


def put_mark(
    session: Session, job_id: str, item_id: int, *, by: str, favourite: bool | None, note: str | None
) -> FaceMark:
    """Marks an item of a job that the caller already looked up for its viewer.

    Args:
        by: id of the user who does.
        favourite: with a star, or without; None leaves it as it is.
        note: at most `LONGEST_NOTE` characters; None leaves it as it is.

    Raises:
        NotFound: the job has no such item.
    """
    # Locked, so that of two who mark a face at once neither loses what the other leaves alone.
    item = session.scalar(select(Item).where(Item.id == item_id, Item.job_id == job_id).with_for_update())
    if item is None:
        raise NotFound("There is no such item in this job.")
    at = now(session)
    mark = session.get(FaceMark, item_id)
    if mark is None:
        mark = FaceMark(item_id=item_id, job_id=job_id, favourite=False, note="", by=by, at=at)
        session.add(mark)
    if favourite is not None:
        mark.favourite = favourite
    if note is not None:
        mark.note = note.strip()
    mark.by, mark.at = by, at
    session.flush()
    return mark


def star_many(session: Session, job_id: str, item_ids: Sequence[int], *, by: str, favourite: bool) -> int:
    """Gives a star to many items of a job at once, or takes it away; notes stay. Answers how many items that were.

    Args:
        item_ids: at most `MOST_AT_ONCE`; the caller already looked up the job for its viewer.

    Raises:
        NotFound: one of them is not in the job; then nothing is marked.
    """
    wanted = sorted(set(item_ids))
    at = now(session)
    for first in range(0, len(wanted), _ROWS_AT_ONCE):
        some = wanted[first : first + _ROWS_AT_ONCE]
        # Locked as in `put_mark`, always in the order of ids.
        held = session.scalars(
            select(Item.id)
            .where(Item.job_id == job_id, Item.id.in_([one for one in some if 0 < one < 2**63]))
            .order_by(Item.id)
            .with_for_update()
        ).all()
        if len(held) != len(some):
            raise NotFound("Some of these items are not in this job. Read its items again.")
        marked = set(session.scalars(select(FaceMark.item_id).where(FaceMark.item_id.in_(held))))
        session.execute(
            update(FaceMark)
            .where(FaceMark.item_id.in_(marked), FaceMark.favourite != favourite)
            .values(favourite=favourite, by=by, at=at)
        )
        if new := [one for one in held if one not in marked] if favourite else []:
            row = {"job_id": job_id, "favourite": True, "note": "", "by": by, "at": at}
            session.execute(insert(FaceMark), [{"item_id": one, **row} for one in new])
    return len(wanted)


def marks_of(session: Session, item_ids: Sequence[int]) -> dict[int, FaceMark]:
    """The marks of those of the items that have one, by the item's id."""
    if not item_ids:
        return {}
    found = session.scalars(select(FaceMark).where(FaceMark.item_id.in_(item_ids)))
    return {mark.item_id: mark for mark in found}


def marked_since(
    session: Session, since: datetime, *, jobs: ColumnElement[bool], limit: int
) -> Sequence[FaceMark]:
    """The marks that were made or changed since then, newest first; some that are a little older may be among them.

    Args:
        jobs: a condition on `Job`: which jobs are asked about.
    """
    return session.scalars(
        select(FaceMark)
        .join(Job, Job.id == FaceMark.job_id)
        .where(FaceMark.at > since - _OVERLAP, jobs)
        .order_by(FaceMark.at.desc())
        .limit(limit)
    ).all()


def count_favourites(session: Session, job_id: str) -> int:
    """Read off an index."""
    return (
        session.scalar(
            select(func.count()).select_from(FaceMark).where(FaceMark.job_id == job_id, FaceMark.favourite)
        )
        or 0
    )
