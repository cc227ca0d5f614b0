"""Publishing what an attempt made: one fenced transaction for a batch of outcomes.

Objects are uploaded first, under the attempt's own name; only this transaction makes them visible. Whatever a lost
attempt had uploaded stays unreferenced.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from core.chunks import InferChunk
from core.database import now
from core.errors import LeaseLost
from core.identifiers import new_id
from core.leases import count_progress, hold_attempt
from core.moves import move_items, settle_job
from core.objects import StoredObject
from core.outbox import ring
from core.states import ItemState
from core.tables import Artifact, Drawing, Item, Recording


@dataclass(frozen=True)
class Drawn:
    item_id: int
    recording_sha256: str
    face: StoredObject
    spectrogram: StoredObject
    seconds: float
    duration_seconds: float | None  # None for a picture
    thumbnail: StoredObject | None = None


@dataclass(frozen=True)
class AlreadyDrawn:
    item_id: int
    drawing_id: str


@dataclass(frozen=True)
class CouldNotDraw:
    item_id: int
    code: str
    message: str
    seconds: float


Outcome = Drawn | AlreadyDrawn | CouldNotDraw


def publish_outcomes(session: Session, chunk: InferChunk, outcomes: Sequence[Outcome]) -> list[str]:
    """Makes outcomes of one attempt final; answers keys of uploads that were not needed after all.

    Raises:
        LeaseLost: the attempt no longer owns its items; nothing was written.
    """
    job, attempt = hold_attempt(session, chunk.attempt_id)
    at = now(session)
    unneeded: list[str] = []
    rows: list[dict[str, object]] = []
    into: dict[ItemState, list[int]] = {}
    there = _still_there(session, [one.drawing_id for one in outcomes if isinstance(one, AlreadyDrawn)])
    drawn = _publish_drawings(
        session, chunk, [one for one in outcomes if isinstance(one, Drawn)], at, unneeded
    )
    for one in outcomes:
        row: dict[str, object] = {"id": one.item_id, "error_code": None, "error_message": None}
        if isinstance(one, Drawn):
            drawing_id, fresh = drawn[one.item_id]
            row |= {"drawing_id": drawing_id, "seconds": one.seconds}
            state = ItemState.DONE if fresh else ItemState.CACHED
        elif isinstance(one, AlreadyDrawn) and one.drawing_id in there:
            row |= {"drawing_id": one.drawing_id, "seconds": 0.0}
            state = ItemState.CACHED
        elif isinstance(
            one, AlreadyDrawn
        ):  # removed by a rule of retention since it was claimed: to be drawn after all
            state = ItemState.PENDING
        else:
            row |= {"drawing_id": None, "seconds": one.seconds}
            row |= {"error_code": one.code, "error_message": one.message}
            state = ItemState.FAILED
        rows.append(row)
        into.setdefault(state, []).append(one.item_id)
    if rows:
        session.execute(update(Item), rows)
    for state, ids in into.items():
        moved = move_items(
            session,
            job,
            Item.id.in_(ids) & (Item.token == chunk.token) & (Item.attempt_id == chunk.attempt_id),
            state,
            actor=chunk.worker_id,
            at=at,
            token=chunk.token,
        )
        if moved != len(ids):
            raise LeaseLost()
    count_progress(job, attempt, len(rows), at)
    if not settle_job(session, job, actor=chunk.worker_id, at=at) and ItemState.PENDING in into:
        ring(session, job, at=at)
    return unneeded


def _still_there(session: Session, drawing_ids: Sequence[str]) -> set[str]:
    """Those that nobody has removed, held so that nobody does before this transaction ends."""
    if not drawing_ids:
        return set()
    found = select(Drawing.id).where(Drawing.id.in_(drawing_ids)).order_by(Drawing.id)
    return set(session.scalars(found.with_for_update(read=True, key_share=True)))


def _publish_drawings(
    session: Session, chunk: InferChunk, outcomes: Sequence[Drawn], at: datetime, unneeded: list[str]
) -> dict[int, tuple[str, bool]]:
    """Writes artifacts and drawings; for each item, its drawing and whether it is this attempt's own."""
    published: dict[int, tuple[str, bool]] = {}
    insert_or_ignore = sqlite.insert if session.get_bind().dialect.name == "sqlite" else postgresql.insert
    for one in outcomes:
        stored = [one.face, one.spectrogram, *([one.thumbnail] if one.thumbnail else [])]
        ids = [new_id("artifact") for _ in stored]
        session.execute(
            insert(Artifact),
            [
                {"id": artifact_id, "created_at": at, **vars(artifact)}
                for artifact_id, artifact in zip(ids, stored, strict=True)
            ],
        )
        drawing_id = new_id("drawing")
        written = session.execute(
            insert_or_ignore(Drawing)
            .values(
                id=drawing_id,
                recording_sha256=one.recording_sha256,
                model_version_id=chunk.model_version_id,
                parameters_sha256=chunk.parameters_sha256,
                face_id=ids[0],
                spectrogram_id=ids[1],
                thumbnail_id=ids[2] if one.thumbnail else None,
                attempt_id=chunk.attempt_id,
                seconds=one.seconds,
                created_at=at,
            )
            .on_conflict_do_nothing()
            .returning(Drawing.id)
        ).scalar_one_or_none()
        if written is None:  # another attempt published the same face first: its one stands
            session.execute(delete(Artifact).where(Artifact.id.in_(ids)))
            unneeded.extend(artifact.object_key for artifact in stored)
            drawing_id = session.execute(
                select(Drawing.id)
                .where(
                    Drawing.recording_sha256 == one.recording_sha256,
                    Drawing.model_version_id == chunk.model_version_id,
                    Drawing.parameters_sha256 == chunk.parameters_sha256,
                )
                .with_for_update(read=True, key_share=True)
            ).scalar_one()
        published[one.item_id] = (drawing_id, written is not None)
        session.execute(
            update(Recording)
            .where(Recording.sha256 == one.recording_sha256, Recording.duration_seconds.is_(None))
            .values(duration_seconds=one.duration_seconds)
        )
    return published
