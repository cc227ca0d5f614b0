"""Publishing what an attempt made: one fenced transaction for a batch of outcomes.

Objects are uploaded first, under the attempt's own name; only this transaction makes them visible. Whatever a lost
attempt had uploaded stays unreferenced.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    ClauseElement,
    Float,
    FromClause,
    String,
    bindparam,
    insert,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from core.claims.chunk_moves import ItemEnd, end_items
from core.claims.chunks import InferChunk
from core.claims.leases import count_progress, hold_attempt
from core.claims.moves import settle_job
from core.claims.outbox import ring
from core.errors import LeaseLost
from core.identifiers import new_ids
from core.ledger.database import now
from core.ledger.prepared import OverRows, table_of
from core.ledger.tables import Artifact, Drawing, Recording
from core.objects import StoredObject
from core.states import ItemState


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


class _NewDrawing(NamedTuple):
    """A row of a drawing that is to be published."""

    id: str
    recording_sha256: str
    face_id: str
    spectrogram_id: str
    thumbnail_id: str | None
    seconds: float


def publish_outcomes(session: Session, chunk: InferChunk, outcomes: Sequence[Outcome]) -> list[str]:
    """Makes outcomes of one attempt final; answers keys of uploads that were not needed after all.

    Raises:
        LeaseLost: the attempt no longer owns its items; the transaction must be given up.
    """
    # In the order of their recordings, so that two attempts that drew the same ones never wait for each other in a
    # ring. Their rows are made before anything is held: from then on nobody else can write to an SQLite ledger.
    drawn = sorted((one for one in outcomes if isinstance(one, Drawn)), key=lambda one: one.recording_sha256)
    rows = _name_drawings(drawn)
    at = now(session)
    # Nobody sees new rows before the commit, and without a lease there is none: on PostgreSQL they are written while
    # others have the job.
    try:
        written = set(
            _ENTER_DRAWINGS.first_column(
                session,
                rows,
                model=chunk.model_version_id,
                parameters=chunk.parameters_sha256,
                attempt=chunk.attempt_id,
                at=at,
            )
        )
    except IntegrityError as error:
        # A recording is deleted only when no item names it any more: this attempt was taken away long ago.
        raise LeaseLost() from error
    published = [(one, row) for one, row in zip(drawn, rows, strict=True) if row.id in written]
    refused = [one for one, row in zip(drawn, rows, strict=True) if row.id not in written]
    _ENTER_ARTIFACTS.count(session, [row for pair in published for row in _artifacts(*pair)], at=at)
    lasting = {
        one.recording_sha256: one.duration_seconds for one in drawn if one.duration_seconds is not None
    }
    _NOTE_DURATIONS.count(session, list(lasting.items()))
    job, attempt = hold_attempt(session, chunk.attempt_id, chunk.job_id)
    there = _still_there(session, [one.drawing_id for one in outcomes if isinstance(one, AlreadyDrawn)])
    standing = _standing(session, chunk, [one.recording_sha256 for one in refused])
    ends = [ItemEnd(one.item_id, ItemState.DONE, row.id, one.seconds) for one, row in published]
    ends += [_end_of_refused(one, standing.get(one.recording_sha256)) for one in refused]
    ends += [_end_of_others(one, there) for one in outcomes if not isinstance(one, Drawn)]
    end_items(
        session,
        job,
        sorted(ends, key=lambda end: end.item_id),
        attempt_id=chunk.attempt_id,
        token=chunk.token,
        actor=chunk.worker_id,
        at=at,
    )
    count_progress(job, attempt, len(ends), at)
    again = any(end.state is ItemState.PENDING for end in ends)
    if not settle_job(session, job, actor=chunk.worker_id, at=at) and again:
        ring(session, job, at=at)
    return [stored.object_key for one in refused for stored in _uploads(one)]


def _name_drawings(drawn: Sequence[Drawn]) -> list[_NewDrawing]:
    count = len(drawn)
    ids, artifacts = new_ids("drawing", count), new_ids("artifact", 3 * count)
    return [
        _NewDrawing(
            id=ids[number],
            recording_sha256=one.recording_sha256,
            face_id=artifacts[number],
            spectrogram_id=artifacts[number + count],
            thumbnail_id=artifacts[number + 2 * count] if one.thumbnail else None,
            seconds=one.seconds,
        )
        for number, one in enumerate(drawn)
    ]


def _uploads(one: Drawn) -> list[StoredObject]:
    return [stored for stored in (one.face, one.spectrogram, one.thumbnail) if stored is not None]


def _artifacts(one: Drawn, row: _NewDrawing) -> list[tuple[Any, ...]]:
    """Rows of what was stored for a drawing."""
    ids = (row.face_id, row.spectrogram_id, row.thumbnail_id)
    return [
        (known_as, stored.kind, stored.object_key, stored.media_type, stored.size_bytes, stored.sha256)
        for known_as, stored in zip(ids, _uploads(one), strict=False)
    ]


def _end_of_refused(one: Drawn, standing: str | None) -> ItemEnd:
    """Another attempt published a face of that recording first; unless it is gone again, that is the item's."""
    if standing is None:
        return ItemEnd(one.item_id, ItemState.PENDING)
    return ItemEnd(one.item_id, ItemState.CACHED, standing, one.seconds)


def _end_of_others(one: AlreadyDrawn | CouldNotDraw, there: set[str]) -> ItemEnd:
    if isinstance(one, CouldNotDraw):
        return ItemEnd(one.item_id, ItemState.FAILED, None, one.seconds, one.code, one.message)
    if one.drawing_id in there:
        return ItemEnd(one.item_id, ItemState.CACHED, one.drawing_id, 0.0)
    # A rule of retention removed that face in the meantime: it is to be drawn after all.
    return ItemEnd(one.item_id, ItemState.PENDING)


def _enter_drawings(rows: FromClause, dialect: str) -> ClauseElement:
    drawings = table_of(Drawing)
    columns = rows.c
    source = select(
        columns.id,
        columns.recording_sha256,
        bindparam("model", type_=String()),
        bindparam("parameters", type_=String()),
        columns.face_id,
        columns.spectrogram_id,
        columns.thumbnail_id,
        bindparam("attempt", type_=String()),
        columns.seconds,
        bindparam("at", type_=drawings.c.created_at.type),
    ).where(columns.id.is_not(None))  # for SQLite, which takes ON CONFLICT after FROM for part of a join
    names = ["id", "recording_sha256", "model_version_id", "parameters_sha256", "face_id", "spectrogram_id"]
    names += ["thumbnail_id", "attempt_id", "seconds", "created_at"]
    into = (sqlite.insert if dialect == "sqlite" else postgresql.insert)(drawings)
    return into.from_select(names, source).on_conflict_do_nothing().returning(drawings.c.id)


def _enter_artifacts(rows: FromClause, _dialect: str) -> ClauseElement:
    artifacts = table_of(Artifact)
    source = select(*rows.c, bindparam("at", type_=artifacts.c.created_at.type))
    return insert(artifacts).from_select([*rows.c.keys(), "created_at"], source)


def _note_durations(rows: FromClause, _dialect: str) -> ClauseElement:
    recordings = table_of(Recording)
    # Taken in their order, as everybody takes them: two transactions never wait for each other in a ring.
    unknown = (
        select(recordings.c.sha256, rows.c.lasting)
        .join_from(rows, recordings, recordings.c.sha256 == rows.c.drawn_from)
        .where(recordings.c.duration_seconds.is_(None))
        .order_by(recordings.c.sha256)
        # Others may name these recordings meanwhile, in drawings of another model and in new jobs.
        .with_for_update(of=recordings, key_share=True)
        .subquery("unknown")
    )
    return (
        update(recordings)
        .where(recordings.c.sha256 == unknown.c.sha256)
        .values(duration_seconds=unknown.c.lasting)
    )


_ENTER_DRAWINGS = OverRows(
    {
        **dict.fromkeys(("id", "recording_sha256", "face_id", "spectrogram_id", "thumbnail_id"), String()),
        "seconds": Float(),
    },
    _enter_drawings,
)
_ENTER_ARTIFACTS = OverRows(
    {
        **dict.fromkeys(("id", "kind", "object_key", "media_type"), String()),
        "size_bytes": BigInteger(),
        "sha256": String(),
    },
    _enter_artifacts,
)
_NOTE_DURATIONS = OverRows({"drawn_from": String(), "lasting": Float()}, _note_durations)


def _still_there(session: Session, drawing_ids: Sequence[str]) -> set[str]:
    """Those that nobody has removed, held so that nobody does before this transaction ends."""
    if not drawing_ids:
        return set()
    found = select(Drawing.id).where(Drawing.id.in_(drawing_ids)).order_by(Drawing.id)
    return set(session.scalars(found.with_for_update(read=True, key_share=True)))


def _standing(session: Session, chunk: InferChunk, recordings: Sequence[str]) -> dict[str, str]:
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
