"""Deleting what somebody gave us and all that came of it, for good: recordings, faces, jobs, uploads and their rows.

What others have, too, stays theirs: a recording that somebody else sent as well, a face that another's job shows.
Datasets, trainings and models are made of many people's data and are relied on by others; they are not touched, and
the answer names what is left of them, for an admin to decide: also datasets of others that hold these recordings, and
models that were trained on those. The account stays. The audit log keeps that it happened, and which models those are.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from sqlalchemy import ColumnElement, delete, exists, func, or_, select, update
from sqlalchemy.orm import Session

from core.claims.moves import hold_job
from core.errors import NotFound
from core.incoming.uploads import discard
from core.jobs import cancel_job
from core.keeping.purging import Purged, drop_drawings, drop_files, drop_leftovers, unlink_faces
from core.keeping.retention import Deadline
from core.keeping.trained_with import Use, find_use
from core.ledger.database import Database
from core.ledger.mark_tables import FaceMark
from core.ledger.retention_tables import RetentionRule
from core.ledger.schedule_tables import Collection, CollectionFile, JobWebhook, Schedule, WebhookDelivery
from core.ledger.tables import (
    Attempt,
    DatasetVersion,
    Drawing,
    Item,
    Job,
    Outbox,
    Recording,
    RecordingOwner,
    Transition,
    User,
)
from core.ledger.training_tables import JobFile, LogLine, Measurement, TrainingProgress
from core.ledger.upload_tables import Upload
from core.people import audit
from core.states import JOB_FINAL
from core.store import Store

# Jobs of these kinds are somebody's own; the others made datasets and models.
_OWN_KINDS = ("infer",)
_ROWS_AT_ONCE = 200
_LOOK_SECONDS = 5.0


@dataclass
class Erased:
    """What went, or would.

    Attributes:
        counts: of jobs, recordings, faces and uploads.
        left: what is not touched, in words, such as `2 datasets: people@1, people@2`.
        waiting: jobs that are being cancelled, and go once their workers have let go of them.
        finished: false where there is more to do: ask again.
    """

    counts: dict[str, int] = field(default_factory=dict)
    left: list[str] = field(default_factory=list)
    waiting: int = 0
    finished: bool = True


def find_user(session: Session, name_or_id: str) -> User:
    """Raises:
    NotFound: there is nobody of that name or id.
    """
    user = None
    if "\0" not in name_or_id:  # which PostgreSQL takes in no text
        user = session.get(User, name_or_id) or session.scalar(select(User).where(User.name == name_or_id))
    if user is None:
        raise NotFound(f"There is no user {name_or_id[:80]!r}.")
    return user


def preview_erasure(database: Database, store: Store, user_id: str) -> Erased:
    """What somebody sent and had drawn, by what the ledger knows now. What others have, too, would stay.

    Changes nothing, and is a matter of milliseconds however much there is, and of at most `_LOOK_SECONDS` where many
    datasets are to be looked through.

    Raises:
        StorageUnavailable: try again later.
    """
    use = find_use(database, store, user_id, seconds=_LOOK_SECONDS)
    with database.read() as session:
        own = _own_jobs(user_id)
        counts = {
            "jobs": select(func.count()).where(own).select_from(Job),
            "recordings": select(func.count())
            .select_from(RecordingOwner)
            .where(RecordingOwner.owner_id == user_id),
            "faces": select(func.sum(Job.done)).where(own),
            "uploads": select(func.count()).select_from(Upload).where(Upload.owner_id == user_id),
        }
        waiting = select(func.count()).select_from(Job).where(own, Job.finished_at.is_(None))
        return Erased(
            {name: session.scalar(query) or 0 for name, query in counts.items()},
            _left(session, user_id, use),
            session.scalar(waiting) or 0,
        )


def erase(
    database: Database, store: Store, user_id: str, *, actor: str, seconds: float | None = None
) -> Erased:
    """Deletes somebody's data; asked again, it goes on where it stopped.

    Jobs that still run are cancelled first, and deleted once their workers have let go.

    Args:
        seconds: after which it stops between two batches.

    Raises:
        StorageUnavailable: try again later.
    """
    use = find_use(database, store, user_id, seconds=_LOOK_SECONDS)  # while it is known what they sent
    deadline, gone = Deadline(seconds), Erased(dict.fromkeys(("jobs", "recordings", "faces", "uploads"), 0))
    _cancel(database, user_id, actor)
    gone.finished = (
        _erase_uploads(database, store, user_id, gone, deadline)
        and _erase_jobs(database, store, user_id, gone, deadline)
        # Jobs that still run need theirs until their next round; who sent them must be known then.
        and not _count_jobs(database, user_id)
        and _erase_recordings(database, store, user_id, gone, deadline)
    )
    gone.waiting = _count_jobs(database, user_id)
    with database.write() as session:
        gone.left = _left(session, user_id, use)
        gone.finished = gone.finished and not gone.waiting
        if any(gone.counts.values()):
            details = {
                "counts": gone.counts,
                "finished": gone.finished,
                "trained_models": use.models,
                "datasets_of_others": use.datasets,
            }
            audit.record(session, actor=actor, action="user.erase", subject=user_id, details=details)
    database.write_over()
    return gone


def _own_jobs(user_id: str) -> ColumnElement[bool]:
    return (Job.owner_id == user_id) & Job.kind.in_(_OWN_KINDS)


def _count_jobs(database: Database, user_id: str) -> int:
    with database.read() as session:
        return session.scalar(select(func.count()).select_from(Job).where(_own_jobs(user_id))) or 0


def _cancel(database: Database, user_id: str, actor: str) -> None:
    with database.read() as session:
        going = session.scalars(select(Job.id).where(_own_jobs(user_id), Job.finished_at.is_(None))).all()
    for job_id in going:
        with suppress(NotFound), database.write() as session:
            if hold_job(session, job_id).state not in JOB_FINAL:
                cancel_job(session, job_id, actor=actor)


def _erase_uploads(database: Database, store: Store, user_id: str, gone: Erased, deadline: Deadline) -> bool:
    while not deadline.is_over():
        with database.write() as session:
            some = session.scalars(
                select(Upload).where(Upload.owner_id == user_id).order_by(Upload.id).limit(_ROWS_AT_ONCE)
            ).all()
            for upload in some:
                discard(store, upload)
            session.execute(delete(Upload).where(Upload.id.in_([upload.id for upload in some])))
        gone.counts["uploads"] += len(some)
        if len(some) < _ROWS_AT_ONCE:
            return True
    return False


def _erase_jobs(database: Database, store: Store, user_id: str, gone: Erased, deadline: Deadline) -> bool:
    with database.read() as session:
        ended = session.scalars(
            select(Job.id).where(_own_jobs(user_id), Job.finished_at.is_not(None)).order_by(Job.id)
        ).all()
    for job_id in ended:
        try:
            if not _erase_job(database, store, job_id, gone, deadline):
                return False
        except NotFound:
            continue  # somebody else deletes the same at this moment, and was quicker
    return True


def _erase_job(database: Database, store: Store, job_id: str, gone: Erased, deadline: Deadline) -> bool:
    purged = Purged()
    after: int | None = -1
    while after is not None:
        if deadline.is_over():
            return False
        with database.write() as session:
            job = hold_job(session, job_id)
            if job.state not in JOB_FINAL:
                break  # retried in the meantime: the next round cancels it
            after = unlink_faces(session, store, job, after, purged)
    gone.counts["faces"] += purged.counts.total()
    if after is None:
        drop_leftovers(database, store, job_id)
        while _erase_some_items(database, job_id):
            if deadline.is_over():
                return False
        if not _erase_rest(database, store, job_id):
            return False
        gone.counts["jobs"] += 1
    return True


def _erase_some_items(database: Database, job_id: str) -> bool:
    """Deletes some items of an ended job and what hangs on them; answers whether there may be more."""
    with database.write() as session:
        if hold_job(session, job_id).state not in JOB_FINAL:
            return False
        ids = session.scalars(
            select(Item.id).where(Item.job_id == job_id).order_by(Item.position).limit(_ROWS_AT_ONCE * 10)
        ).all()
        session.execute(delete(FaceMark).where(FaceMark.item_id.in_(ids)))
        session.execute(delete(Item).where(Item.id.in_(ids)))
        return len(ids) == _ROWS_AT_ONCE * 10


def _erase_rest(database: Database, store: Store, job_id: str) -> bool:
    with database.write() as session:
        job = hold_job(session, job_id, for_deletion=True)
        if job.state not in JOB_FINAL:
            return False
        drop_files(session, store, job_id, JobFile.job_id == job_id)
        for table in (
            Transition,
            Outbox,
            JobWebhook,
            WebhookDelivery,
            LogLine,
            Measurement,
            TrainingProgress,
            Attempt,
        ):
            session.execute(delete(table).where(table.job_id == job_id))
        session.execute(delete(RetentionRule).where(RetentionRule.scope == job_id))
        session.execute(update(Job).where(Job.rerun_of == job_id).values(rerun_of=None))
        session.execute(delete(Job).where(Job.id == job_id))
        return True


def _erase_recordings(
    database: Database, store: Store, user_id: str, gone: Erased, deadline: Deadline
) -> bool:
    after = ""
    while not deadline.is_over():
        with database.write() as session:
            some = session.scalars(
                select(Recording)
                .join(RecordingOwner, RecordingOwner.sha256 == Recording.sha256)
                .where(RecordingOwner.owner_id == user_id, Recording.sha256 > after)
                .order_by(Recording.sha256)
                .limit(_ROWS_AT_ONCE)
                .with_for_update(of=Recording)
            ).all()
            _erase_some_recordings(session, store, user_id, some, gone)
        if len(some) < _ROWS_AT_ONCE:
            return True
        after = some[-1].sha256
    return False


def _erase_some_recordings(
    session: Session, store: Store, user_id: str, some: Sequence[Recording], gone: Erased
) -> None:
    ids = [recording.sha256 for recording in some]
    kept = set(
        session.scalars(
            select(Recording.sha256).where(
                Recording.sha256.in_(ids),
                or_(
                    exists().where(Item.recording_sha256 == Recording.sha256),
                    exists().where(
                        RecordingOwner.sha256 == Recording.sha256, RecordingOwner.owner_id != user_id
                    ),
                    Recording.sha256.in_(select(CollectionFile.sha256)),
                    exists().where(Upload.recording_sha256 == Recording.sha256),
                ),
            )
        )
    )
    going = [recording for recording in some if recording.sha256 not in kept]
    gone_ids = [recording.sha256 for recording in going]
    # Faces that no item shows any more, such as of a job that was erased while another was at work with them.
    drawings = session.scalars(select(Drawing.id).where(Drawing.recording_sha256.in_(gone_ids))).all()
    gone.counts["faces"] += drop_drawings(session, store, drawings)[0]
    store.delete_all([recording.object_key for recording in going])
    owners = delete(RecordingOwner).where(
        RecordingOwner.owner_id == user_id, RecordingOwner.sha256.in_(_not_collected(session, ids, user_id))
    )
    session.execute(owners)
    session.execute(delete(Recording).where(Recording.sha256.in_(gone_ids)))
    gone.counts["recordings"] += len(going)


def _not_collected(session: Session, ids: Sequence[str], user_id: str) -> list[str]:
    """Without those that a collection of theirs still has: they would be nobody's there."""
    collected = set(
        session.scalars(
            select(CollectionFile.sha256)
            .join(Collection, Collection.id == CollectionFile.collection_id)
            .where(CollectionFile.sha256.in_(ids), Collection.owner_id == user_id)
        )
    )
    return [sha256 for sha256 in ids if sha256 not in collected]


def _left(session: Session, user_id: str, use: Use) -> list[str]:
    """What is somebody's, or was made with what is, and is not erased, in words."""
    collections = session.scalars(
        select(Collection.name).where(Collection.owner_id == user_id).order_by(Collection.name)
    ).all()
    datasets = [
        dataset.label
        for dataset in session.scalars(
            select(DatasetVersion).where(DatasetVersion.owner_id == user_id).order_by(DatasetVersion.id)
        )
    ]
    schedules = session.scalars(
        select(Schedule.name).where(Schedule.owner_id == user_id, Schedule.removed_at.is_(None))
    ).all()
    other = session.scalars(
        select(Job.id).where(Job.owner_id == user_id, Job.kind.not_in(_OWN_KINDS)).order_by(Job.id)
    ).all()
    found = (
        ("collection", "collections", collections),
        ("dataset", "datasets", datasets),
        ("schedule", "schedules", schedules),
        ("other job", "other jobs", other),
        (
            "dataset of somebody else with these recordings",
            "datasets of others with these recordings",
            use.datasets,
        ),
        (
            "model trained on datasets with these recordings",
            "models trained on datasets with these recordings",
            use.models,
        ),
    )
    left = [
        f"{len(names)} {one if len(names) == 1 else many}: {', '.join(names[:5])}{', …' if len(names) > 5 else ''}"
        for one, many, names in found
        if names
    ]
    if not use.complete:
        left.append("Not all datasets were looked through, as there are too many: there may be more.")
    return left
