"""Stars and notes on faces: one for each item, seen by everybody who may see its job."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from core.database import now
from core.errors import NotFound
from core.mark_tables import FaceMark
from core.tables import Item

LONGEST_NOTE = 2000


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


def marks_of(session: Session, item_ids: Sequence[int]) -> dict[int, FaceMark]:
    """The marks of those of the items that have one, by the item's id."""
    if not item_ids:
        return {}
    found = session.scalars(select(FaceMark).where(FaceMark.item_id.in_(item_ids)))
    return {mark.item_id: mark for mark in found}


def count_favourites(session: Session, job_id: str) -> int:
    """Read off an index that holds favourites only."""
    return (
        session.scalar(
            select(func.count()).select_from(FaceMark).where(FaceMark.job_id == job_id, FaceMark.favourite)
        )
        or 0
    )
