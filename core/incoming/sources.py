"""Where recordings of a job come from besides being sent for it: what is here already, without a byte moved."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.errors import InvalidRequest
from core.ledger.database import now
from core.ledger.tables import Item, RecordingOwner, User
from core.queries import get_job
from core.specs import NewItem
from core.states import ITEM_WITH_FACE, ItemState

Which = Literal["all", "failed", "faces"]

_WORDS = {"all": "has no recordings", "failed": "has no failed recordings", "faces": "has no faces yet"}
_ROWS_AT_ONCE = 1000


def recordings_of_job(session: Session, viewer: User, job_id: str, which: Which = "all") -> list[NewItem]:
    """The lines of an earlier job, with their keys and names in their order, for a new one to take over.

    Lines that never had a recording are left out: there is nothing in them to draw from.

    Args:
        which: every line, those that failed, or those that have a face.

    Raises:
        NotFound: the viewer sees no such job.
        InvalidRequest: it is no job over recordings, or has none of the kind.
    """
    job = get_job(session, viewer, job_id)
    if job.kind != "infer":
        raise InvalidRequest("Only a job that draws faces has recordings that another job can take over.")
    query = select(Item.key, Item.name, Item.recording_sha256).where(
        Item.job_id == job.id, Item.recording_sha256.is_not(None)
    )
    if which == "failed":
        query = query.where(Item.state == ItemState.FAILED)
    elif which == "faces":
        query = query.where(Item.state.in_(ITEM_WITH_FACE))
    items = [
        NewItem(key=key, name=name, recording=sha256, error_code=None, error_message=None)
        for key, name, sha256 in session.execute(query.order_by(Item.position))
    ]
    if not items:
        raise InvalidRequest(f"The job {job.id} {_WORDS[which]}: there is nothing to take over.")
    return items


def share_recordings(session: Session, viewer: User, items: list[NewItem]) -> None:
    """Lets somebody use recordings that they may see anyway, such as an operator those of another's job."""
    wanted = sorted({item.recording for item in items if item.recording is not None})
    at = now(session)
    for start in range(0, len(wanted), _ROWS_AT_ONCE):
        some = wanted[start : start + _ROWS_AT_ONCE]
        owned = set(
            session.scalars(
                select(RecordingOwner.sha256).where(
                    RecordingOwner.owner_id == viewer.id, RecordingOwner.sha256.in_(some)
                )
            )
        )
        session.add_all(
            RecordingOwner(sha256=sha256, owner_id=viewer.id, created_at=at)
            for sha256 in some
            if sha256 not in owned
        )
    session.flush()


def known_recordings(session: Session, owner_id: str, contents: Sequence[str]) -> list[str]:
    """Those of some contents that somebody has sent before, in the order given.

    Args:
        contents: SHA-256 of each, a thousand at most.
    """
    known = set(
        session.scalars(
            select(RecordingOwner.sha256).where(
                RecordingOwner.owner_id == owner_id, RecordingOwner.sha256.in_(contents)
            )
        )
    )
    return [sha256 for sha256 in dict.fromkeys(contents) if sha256 in known]
