"""What a list of a job's items can be narrowed to, and where in the narrowed list its blocks begin.

Whoever shows a window of a long list wants the block at a certain height without reading what lies above it. For all
items that is a matter of positions; for a narrowed list `anchors` tells the position that each block begins behind.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import ColumnElement, and_, func, select
from sqlalchemy.orm import Session

from core.ledger.mark_tables import FaceMark
from core.ledger.tables import Item
from core.states import ItemState


@dataclass(frozen=True)
class Narrowed:
    """Only items that are all of this; the empty one is every item.

    Attributes:
        error_code: only what failed of it.
        favourites: only what has a star.
        noted: only what has a note.
    """

    states: Collection[ItemState] = ()
    error_code: str | None = None
    favourites: bool = False
    noted: bool = False

    def __bool__(self) -> bool:
        return bool(self.states or self.error_code or self.favourites or self.noted)

    def clause(self, job_id: str) -> ColumnElement[bool]:
        wanted = [Item.job_id == job_id]
        if self.states:
            wanted.append(Item.state.in_(self.states))
        if self.error_code:
            wanted += [Item.state == ItemState.FAILED, Item.error_code == self.error_code]
        if self.favourites or self.noted:
            marked = select(FaceMark.item_id).where(FaceMark.job_id == job_id)
            if self.favourites:
                marked = marked.where(FaceMark.favourite)
            if self.noted:
                marked = marked.where(FaceMark.note != "")
            wanted.append(Item.id.in_(marked))
        return and_(*wanted)


def item_ids(session: Session, job_id: str, narrowed: Narrowed) -> list[int]:
    """The ids of all these items, in the order they were submitted."""
    query = select(Item.id).where(narrowed.clause(job_id)).order_by(Item.position)
    return [*session.scalars(query)]


def anchors(session: Session, job_id: str, narrowed: Narrowed, every: int) -> tuple[int, list[int]]:
    """How many items there are, and the position that each block of `every` items begins behind (the first: -1)."""
    numbered = (
        select(Item.position, func.row_number().over(order_by=Item.position).label("number"))
        .where(narrowed.clause(job_id))
        .subquery()
    )
    # The last one is asked for too: its number is the count, and comes from the same reading.
    last = select(func.max(numbered.c.number)).scalar_subquery()
    rows = session.execute(
        select(numbered.c.position, numbered.c.number)
        .where((numbered.c.number % every == 0) | (numbered.c.number == last))
        .order_by(numbered.c.number)
    ).all()
    count = rows[-1].number if rows else 0
    return count, [-1] * bool(count) + [
        row.position for row in rows if row.number % every == 0 and row.number < count
    ]
