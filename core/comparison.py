"""Two jobs over the same recordings side by side, such as before and after a model was trained again.

Recordings are known by their content, so it does not matter how either job named them or in which order it has them.
A page reads a bounded stretch of the first job; nothing is counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.errors import InvalidRequest
from core.queries import ItemRow, items_by_id, items_page, visible_to
from core.states import ITEM_WITH_FACE
from core.tables import Item, Job, User

# Recordings that both jobs have, those of which both have a face, or those of which only one has.
Shown = Literal["common", "faces", "one_face"]
SHOWN: tuple[Shown, ...] = get_args(Shown)

_STRETCH = 500
_MOST_STRETCHES = 8
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
    pairs: list[Pair] = []
    for _ in range(_MOST_STRETCHES):
        rows = items_page(session, first.id, after=after, limit=_STRETCH)
        others = _by_recording(session, second.id, rows)
        for row in rows:
            other = others.get(row.recording_sha256 or "")
            if other is not None and _fits(pair := Pair(row, other), shown):
                if len(pairs) == limit:
                    return Comparison(pairs, after)
                pairs.append(pair)
            after = row.position
        if len(rows) < _STRETCH:
            return Comparison(pairs, None)
    return Comparison(pairs, after)


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


def _by_recording(session: Session, job_id: str, rows: Sequence[ItemRow]) -> dict[str, ItemRow]:
    """Items of another job over the same recordings; where it has one several times, its first."""
    recordings = {row.recording_sha256 for row in rows if row.recording_sha256}
    if not recordings:
        return {}
    found = select(Item.id).where(Item.job_id == job_id, Item.recording_sha256.in_(recordings))
    others = items_by_id(session, job_id, session.scalars(found).all())
    return {other.recording_sha256 or "": other for other in reversed(others)}


def _fits(pair: Pair, shown: Shown) -> bool:
    faces = (_has_face(pair.first), _has_face(pair.second))
    if shown == "faces":
        return all(faces)
    if shown == "one_face":
        return faces[0] != faces[1]
    return True


def _has_face(row: ItemRow) -> bool:
    return row.state in ITEM_WITH_FACE and row.face_key is not None
