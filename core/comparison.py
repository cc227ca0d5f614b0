"""Two jobs over the same recordings side by side, such as before and after a model was trained again.

Recordings are known by their content, so it does not matter how either job named them or in which order it has them.
A page reads a bounded stretch of the first job; nothing is counted.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from core.errors import InvalidRequest
from core.ledger.tables import Item, Job, User
from core.queries import ItemRow, items_by_id, visible_to
from core.states import ITEM_WITH_FACE

# Recordings that both jobs have, those of which both have a face, or those of which only one has.
Shown = Literal["common", "faces", "one_face"]
SHOWN: tuple[Shown, ...] = get_args(Shown)

_SPAN = 4000  # positions of the first job that a page looks through at most
_ROWS_AT_ONCE = 100
_LOOKED_AT = 20
_MOST_PARTNERS = 200


@dataclass(frozen=True)
class Pair:
    """One recording, as an item of each job."""

    first: ItemRow
    second: ItemRow

    @property
    def is_same_picture(self) -> bool:
        """Whether both have the very same face, byte for byte."""
        return self.first.face_sha256 is not None and self.first.face_sha256 == self.second.face_sha256


class _Other(NamedTuple):
    """An item of the second job."""

    id: int
    has_face: bool


class _Shared(NamedTuple):
    """An item of the first job, and the one of the second that stands beside it."""

    id: int
    position: int
    other_id: int
    faces: tuple[bool, bool]


@dataclass(frozen=True)
class Comparison:
    """A page of pairs in the order of the first job.

    Attributes:
        next: the position that the next page begins behind; None at the end. A page may have fewer pairs than asked
            for, or none, and still have a next one: what fits may lie far apart.
    """

    pairs: list[Pair]
    next: int | None


def compare_jobs(
    session: Session,
    first: Job,
    second: Job,
    *,
    after: int = -1,
    limit: int = 24,
    shown: Shown = "common",
) -> Comparison:
    """Reads a page.

    Args:
        first, second: jobs that the caller looked up for its viewer.
        after: the position in the first job that the page begins behind.

    Raises:
        InvalidRequest: one of them draws no faces, or they are one and the same.
    """
    if first.id == second.id:
        raise InvalidRequest("This is one and the same job: choose another one to compare it with.")
    if first.kind != "infer" or second.kind != "infer":
        raise InvalidRequest("Only jobs that draw faces are compared.")
    until = after + _SPAN
    chosen: dict[int, int] = {}
    seen = after
    for row in _shared(session, first.id, second.id, after, until):
        if _fits(row, shown):
            if len(chosen) == limit:
                return Comparison(_pairs(session, first.id, second.id, chosen), seen)
            chosen[row.id] = row.other_id
        seen = row.position
    following = until if until + 1 < first.total else None
    return Comparison(_pairs(session, first.id, second.id, chosen), following)


def find_partners(session: Session, viewer: User, job: Job, *, limit: int = 20) -> Sequence[Job]:
    """Other jobs that have some of the first recordings of this one, newest first."""
    first = (
        select(Item.recording_sha256)
        .where(Item.job_id == job.id, Item.recording_sha256.is_not(None))
        .order_by(Item.position)
        .limit(_LOOKED_AT)
    )
    recordings = session.scalars(first).all()
    same = (
        select(Item.job_id)
        .where(Item.recording_sha256.in_(recordings), Item.job_id != job.id)
        .distinct()
        .limit(_MOST_PARTNERS)
    )
    ids = session.scalars(same).all()
    return session.scalars(
        select(Job)
        .where(Job.id.in_(ids), Job.kind == "infer", visible_to(viewer))
        .order_by(Job.id.desc())
        .limit(limit)
    ).all()


def _shared(session: Session, first: str, second: str, after: int, until: int) -> Iterator[_Shared]:
    """Items of the first job in a stretch of positions, each with the first item of the second that has its recording.

    Each recording is looked up in the second job once, however often either of them has it: two jobs of one recording a
    hundred thousand times have ten thousand million pairs.
    """
    others: dict[str, _Other | None] = {}
    while after < until:
        items = session.execute(
            select(Item.id, Item.position, Item.state, Item.drawing_id, Item.recording_sha256)
            .where(Item.job_id == first, Item.position > after, Item.position <= until)
            .order_by(Item.position)
            .limit(_ROWS_AT_ONCE)
        ).all()
        if not items:
            return
        new = {item.recording_sha256 for item in items if item.recording_sha256 is not None} - others.keys()
        others |= dict.fromkeys(new) | _first_of_each(session, second, new)
        for item in items:
            if item.recording_sha256 is not None and (other := others[item.recording_sha256]) is not None:
                has_face = item.state in ITEM_WITH_FACE and item.drawing_id is not None
                yield _Shared(item.id, item.position, other.id, (has_face, other.has_face))
        after = items[-1].position


def _first_of_each(session: Session, job_id: str, recordings: Collection[str]) -> dict[str, _Other]:
    """The first item of a job with each of some recordings."""
    positions = (
        select(func.min(Item.position))
        .where(Item.job_id == job_id, Item.recording_sha256.in_(recordings))
        .group_by(Item.recording_sha256)
    )
    found = session.execute(
        select(Item.recording_sha256, Item.id, Item.state, Item.drawing_id).where(
            Item.job_id == job_id, Item.position.in_(session.scalars(positions).all())
        )
    )
    return {
        sha256: _Other(item_id, state in ITEM_WITH_FACE and drawing_id is not None)
        for sha256, item_id, state, drawing_id in found
        if sha256 is not None
    }


def _pairs(session: Session, first: str, second: str, chosen: dict[int, int]) -> list[Pair]:
    ones = items_by_id(session, first, list(chosen))
    others = {row.id: row for row in items_by_id(session, second, list(chosen.values()))}
    return [Pair(one, others[chosen[one.id]]) for one in ones]


def _fits(row: _Shared, shown: Shown) -> bool:
    if shown == "faces":
        return all(row.faces)
    if shown == "one_face":
        return row.faces[0] != row.faces[1]
    return True
