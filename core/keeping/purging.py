"""Applying the rules of retention, batch by batch, so that nobody waits long for the ledger.

Objects go inside the transaction that removes their rows, which holds those rows: nobody can begin to use them in
between, and should the store fail, the rows stay and the next round finds them again. Deleting twice does no harm.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from sqlalchemy import ColumnElement, delete, exists, func, select, update
from sqlalchemy.orm import Session

from core.claims.moves import hold_job
from core.errors import NotFound
from core.keeping.retention import (
    CHECKPOINTS,
    Deadline,
    Due,
    due_jobs,
    is_due,
    planned_sources,
    recordings_going,
)
from core.keeping.rules import Kept
from core.ledger.database import Database, now
from core.ledger.tables import Artifact, Drawing, Item, Job, Recording, RecordingOwner, Transition
from core.ledger.training_tables import JobFile, LogLine
from core.people import audit
from core.states import JOB_FINAL
from core.store import Store

_ITEMS_AT_ONCE = 100
_LINES_AT_ONCE = 5000
_LOOKED_AT_ONCE = 1000


@dataclass
class Purged:
    """What went.

    Attributes:
        counts: of each kind.
        bytes: of each kind, where it was stored.
        finished: false where the time was up; going on is a matter of asking again.
    """

    counts: Counter[str] = field(default_factory=Counter)
    bytes: Counter[str] = field(default_factory=Counter)
    finished: bool = True

    def add(self, kind: str, count: int, size_bytes: int) -> None:
        self.counts[kind] += count
        self.bytes[kind] += size_bytes


def purge(database: Database, store: Store, *, actor: str, seconds: float | None = None) -> Purged:
    """Removes what is due now.

    Args:
        seconds: after which it stops between two batches.

    Raises:
        StorageUnavailable: try again later; what went until then is gone.
    """
    purged, deadline = Purged(), Deadline(seconds)
    try:
        _purge_faces(database, store, purged, deadline, actor)
        if purged.finished:
            _purge_recordings(database, store, purged, deadline)
        if purged.finished:
            _purge_checkpoints(database, store, purged, deadline)
        if purged.finished:
            _purge_logs(database, purged, deadline)
    finally:
        if purged.counts.total():
            with database.write() as session:
                details = {"counts": dict(purged.counts), "bytes": dict(purged.bytes)}
                audit.record(session, actor=actor, action="retention.purge", subject="all", details=details)
            database.write_over()
    return purged


def drop_drawings(session: Session, store: Store, drawing_ids: Collection[str]) -> tuple[int, int]:
    """Removes those drawings that no item uses any more, with their pictures; answers how many, and their bytes."""
    # Held, so that whoever links to one of them has done so before the next question, or finds nothing after it.
    held = select(Drawing).where(Drawing.id.in_(drawing_ids)).order_by(Drawing.id).with_for_update()
    drawings = {drawing.id: drawing for drawing in session.scalars(held)}
    used = set(session.scalars(select(Item.drawing_id).where(Item.drawing_id.in_(drawings)).distinct()))
    going = [drawing for drawing_id, drawing in drawings.items() if drawing_id not in used]
    artifact_ids = [
        artifact_id
        for drawing in going
        for artifact_id in (drawing.face_id, drawing.spectrogram_id, drawing.thumbnail_id)
        if artifact_id is not None
    ]
    stored = session.execute(
        select(Artifact.object_key, Artifact.size_bytes).where(Artifact.id.in_(artifact_ids))
    ).all()
    store.delete_all([key for key, _ in stored])
    session.execute(delete(Drawing).where(Drawing.id.in_([drawing.id for drawing in going])))
    session.execute(delete(Artifact).where(Artifact.id.in_(artifact_ids)))
    return len(going), sum(size for _, size in stored)


def drop_leftovers(database: Database, store: Store, job_id: str) -> int:
    """Removes what lost attempts of an ended job had uploaded and nothing names; answers how many objects."""
    with database.write() as session:
        job = hold_job(session, job_id)
        if job.state not in JOB_FINAL:
            return 0
        last = job.token  # whatever is uploaded under a later one belongs to a retry
    prefix = f"jobs/{job_id}/attempts/"
    keys = [key for key in store.keys(prefix) if int(key.removeprefix(prefix).split("/")[0]) <= last]
    removed = 0
    for start in range(0, len(keys), _ITEMS_AT_ONCE * 3):
        some = keys[start : start + _ITEMS_AT_ONCE * 3]
        with database.read() as session:
            named = set(session.scalars(select(Artifact.object_key).where(Artifact.object_key.in_(some))))
        left = [key for key in some if key not in named]
        if left:
            store.delete_all(left)
        removed += len(left)
    return removed


def _purge_faces(database: Database, store: Store, purged: Purged, deadline: Deadline, actor: str) -> None:
    with database.read() as session:
        due = due_jobs(session, Kept.FACES)
    for job_id in due.ids:
        with suppress(NotFound):  # somebody has their data deleted at this moment
            _purge_faces_of(database, store, job_id, due, purged, deadline, actor)
        if not purged.finished:
            return


def _purge_faces_of(
    database: Database, store: Store, job_id: str, due: Due, purged: Purged, deadline: Deadline, actor: str
) -> None:
    after: int | None = -1
    while after is not None:
        if deadline.is_over():
            purged.finished = False
            return
        with database.write() as session:
            job = hold_job(session, job_id)
            if job.state not in JOB_FINAL or not is_due(
                due.rules, job.id, job.labels, job.finished_at, due.at
            ):
                return  # retried in the meantime
            after = unlink_faces(session, store, job, after, purged)
            if after is None:
                _note_purge(session, job, actor)
    drop_leftovers(database, store, job_id)


def unlink_faces(session: Session, store: Store, job: Job, after: int, purged: Purged) -> int | None:
    """Takes the faces off some items of a held job, and removes those that nobody else has.

    Args:
        after: the position up to which it was done.

    Returns:
        the position up to which it is done now; None at the end.
    """
    rows = session.execute(
        select(Item.id, Item.position, Item.drawing_id)
        .where(Item.job_id == job.id, Item.position > after, Item.drawing_id.is_not(None))
        .order_by(Item.position)
        .limit(_ITEMS_AT_ONCE)
    ).all()
    if rows:
        session.execute(update(Item).where(Item.id.in_([row.id for row in rows])).values(drawing_id=None))
        purged.add(
            Kept.FACES.value,
            *drop_drawings(session, store, {row.drawing_id for row in rows if row.drawing_id is not None}),
        )
    return rows[-1].position if len(rows) == _ITEMS_AT_ONCE else None


def _note_purge(session: Session, job: Job, actor: str) -> None:
    # Among the job's moves, so that every page that watches it shows it.
    job.purged_at = at = now(session)
    state = job.state.value
    session.add(Transition(job_id=job.id, old=state, new=state, actor=actor, reason="faces removed", at=at))


def _purge_recordings(database: Database, store: Store, purged: Purged, deadline: Deadline) -> None:
    sources = planned_sources(database, store)
    with database.read() as session:
        due = due_jobs(session, Kept.RECORDINGS)
    after: str | None = ""
    while after is not None and due.rules.shortest is not None:
        if deadline.is_over():
            purged.finished = False
            return
        with database.read() as session:
            page = session.scalars(
                select(Recording.sha256)
                .where(Recording.sha256 > after, Recording.purged_at.is_(None))
                .order_by(Recording.sha256)
                .limit(_LOOKED_AT_ONCE)
            ).all()
            found = recordings_going(session, due, sources, among=page)
            going = [sha256 for sha256, _, _, goes in found if goes]
        for start in range(0, len(going), _ITEMS_AT_ONCE):
            some = going[start : start + _ITEMS_AT_ONCE]
            _purge_some_recordings(database, store, due, sources, some, purged)
        after = page[-1] if len(page) == _LOOKED_AT_ONCE else None


def _purge_some_recordings(
    database: Database, store: Store, due: Due, sources: Collection[str], some: Sequence[str], purged: Purged
) -> None:
    with database.write() as session:
        held = select(Recording).where(Recording.sha256.in_(some)).order_by(Recording.sha256)
        rows = {row.sha256: row for row in session.scalars(held.with_for_update())}
        # Once more, now that nobody can send them again or make a job of them.
        still = [sha256 for sha256, _, _, goes in recordings_going(session, due, sources, among=some) if goes]
        store.delete_all([rows[sha256].object_key for sha256 in still])
        at = now(session)
        session.execute(update(Recording).where(Recording.sha256.in_(still)).values(purged_at=at))
        session.execute(delete(RecordingOwner).where(RecordingOwner.sha256.in_(still)))
        purged.add(Kept.RECORDINGS.value, len(still), sum(rows[sha256].size_bytes for sha256 in still))


def _purge_checkpoints(database: Database, store: Store, purged: Purged, deadline: Deadline) -> None:
    with database.read() as session:
        due = due_jobs(session, Kept.CHECKPOINTS)
    for job_id in due.ids:
        if deadline.is_over():
            purged.finished = False
            return
        with suppress(NotFound), database.write() as session:
            job = hold_job(session, job_id)
            if job.state in JOB_FINAL and is_due(due.rules, job.id, job.labels, job.finished_at, due.at):
                which = JobFile.kind.in_(CHECKPOINTS)
                purged.add(Kept.CHECKPOINTS.value, *drop_files(session, store, job_id, which))


def drop_files(session: Session, store: Store, job_id: str, which: ColumnElement[bool]) -> tuple[int, int]:
    """Removes files of a held job; what another file of it is made of, too, stays in the store."""
    files = session.scalars(select(JobFile).where(JobFile.job_id == job_id, which)).all()
    if not files:
        return 0, 0
    session.execute(delete(JobFile).where(JobFile.id.in_([file.id for file in files])))
    kept = set(session.scalars(select(JobFile.object_key).where(JobFile.job_id == job_id)))
    sizes = {file.object_key: file.size_bytes for file in files if file.object_key not in kept}
    store.delete_all(sizes)
    return len(files), sum(sizes.values())


def _purge_logs(database: Database, purged: Purged, deadline: Deadline) -> None:
    with database.read() as session:
        due = due_jobs(session, Kept.LOGS)
        some_left = [
            job_id for job_id in due.ids if session.scalar(select(exists().where(LogLine.job_id == job_id)))
        ]
    for job_id in some_left:
        while True:
            if deadline.is_over():
                purged.finished = False
                return
            with database.write() as session:
                lines = session.execute(
                    select(LogLine.id, func.length(LogLine.text))
                    .where(LogLine.job_id == job_id)
                    .order_by(LogLine.id)
                    .limit(_LINES_AT_ONCE)
                ).all()
                session.execute(delete(LogLine).where(LogLine.id.in_([line.id for line in lines])))
            purged.add(Kept.LOGS.value, len(lines), sum(size for _, size in lines))
            if len(lines) < _LINES_AT_ONCE:
                break
