"""Publishing what an attempt made: one fenced transaction for a batch of outcomes.

Objects are uploaded first, under the attempt's own name; only this transaction makes them visible. Whatever a lost
attempt had uploaded stays unreferenced.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import bindparam, delete, insert, select, update
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
        if isinstance(one, Drawn) and one.item_id in drawn:
            drawing_id, fresh = drawn[one.item_id]
            row |= {"drawing_id": drawing_id, "seconds": one.seconds}
            state = ItemState.DONE if fresh else ItemState.CACHED
        elif isinstance(one, AlreadyDrawn) and one.drawing_id in there:
            row |= {"drawing_id": one.drawing_id, "seconds": 0.0}
            state = ItemState.CACHED
        elif isinstance(one, Drawn | AlreadyDrawn):
            # A rule of retention removed that face in the meantime: it is to be drawn after all.
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
    """Writes artifacts and drawings; for each item, its drawing and whether it is this attempt's own.

    A statement for each table and not for each face: with small models the ledger would be what takes longest.
    """
    if not outcomes:
        return {}
    artifacts: list[dict[str, object]] = []
    drawings: list[dict[str, object]] = []
    for one in outcomes:
        ids = {kind: new_id("artifact") for kind in ("face", "spectrogram", "thumbnail")}
        stored = {"face": one.face, "spectrogram": one.spectrogram, "thumbnail": one.thumbnail}
        artifacts += [{"id": ids[kind], "created_at": at, **vars(it)} for kind, it in stored.items() if it]
        drawings.append(
            {
                "id": new_id("drawing"),
                "recording_sha256": one.recording_sha256,
                "model_version_id": chunk.model_version_id,
                "parameters_sha256": chunk.parameters_sha256,
                "face_id": ids["face"],
                "spectrogram_id": ids["spectrogram"],
                "thumbnail_id": ids["thumbnail"] if one.thumbnail else None,
                "attempt_id": chunk.attempt_id,
                "seconds": one.seconds,
                "created_at": at,
            }
        )
    session.execute(insert(Artifact), artifacts)
    insert_or_ignore = sqlite.insert if session.get_bind().dialect.name == "sqlite" else postgresql.insert
    written = set(
        session.scalars(
            insert_or_ignore(Drawing).on_conflict_do_nothing().returning(Drawing.id), drawings
        ).all()
    )
    taken = [row for row in drawings if row["id"] not in written]
    if taken:
        unneeded += _take_back(session, artifacts, taken)
    standing = _standing(session, chunk, [row["recording_sha256"] for row in taken])
    session.connection().execute(
        update(Recording)
        .where(Recording.sha256 == bindparam("drawn_from"), Recording.duration_seconds.is_(None))
        .values(duration_seconds=bindparam("lasting")),
        [{"drawn_from": one.recording_sha256, "lasting": one.duration_seconds} for one in outcomes],
    )
    return {
        one.item_id: (str(row["id"]), True)
        if row["id"] in written
        else (standing[one.recording_sha256], False)
        for one, row in zip(outcomes, drawings, strict=True)
        if row["id"] in written or one.recording_sha256 in standing
    }


def _take_back(
    session: Session, artifacts: Sequence[Mapping[str, object]], taken: Sequence[Mapping[str, object]]
) -> list[str]:
    """Forgets artifacts of drawings that another attempt published first; answers their keys."""
    ids = {row[kind] for row in taken for kind in ("face_id", "spectrogram_id", "thumbnail_id")}
    session.execute(delete(Artifact).where(Artifact.id.in_(ids)))
    return [str(artifact["object_key"]) for artifact in artifacts if artifact["id"] in ids]


def _standing(session: Session, chunk: InferChunk, recordings: Sequence[object]) -> dict[str, str]:
    """The drawing that stands for each recording."""
    if not recordings:
        return {}
    rows = session.execute(
        select(Drawing.recording_sha256, Drawing.id)
        .where(
            Drawing.recording_sha256.in_(recordings),
            Drawing.model_version_id == chunk.model_version_id,
            Drawing.parameters_sha256 == chunk.parameters_sha256,
        )
        .order_by(Drawing.id)
        # Held, so that no rule of retention removes it before this transaction ends.
        .with_for_update(read=True, key_share=True)
    )
    return {row[0]: row[1] for row in rows}
