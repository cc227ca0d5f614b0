"""What goes by the rules of retention, and what would: faces, recordings, checkpoints and logs that are due.

A thing is due when the job it belongs to ended longer ago than its rule says. What several jobs share goes with the
last of them: faces that are used again, recordings of several jobs. Rows of jobs and items stay, with everything
that can be read about them. Nothing here changes anything; `core/keeping/purging.py` does.
"""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session, aliased

from core.errors import NotFound
from core.keeping.rules import Kept, Rules, read_rules
from core.ledger.database import Database, now
from core.ledger.schedule_tables import CollectionFile
from core.ledger.tables import Artifact, Drawing, Item, Job, Recording, RecordingOwner
from core.ledger.training_tables import JobFile, LogLine
from core.objects import dataset_plan_key
from core.states import JOB_FINAL
from core.store import Store

CHECKPOINTS = ("checkpoint", "best")
_JOB_KINDS = {Kept.FACES: ("infer",), Kept.CHECKPOINTS: ("train",)}
_ROWS_AT_ONCE = 1000


class Deadline:
    """Says when the time for a round is up; without seconds it never is.

    Asked for the first time it is not: each round gets on by a batch at least, however long it looked for it.
    """

    def __init__(self, seconds: float | None) -> None:
        self._end = None if seconds is None else time.monotonic() + seconds
        self._asked = False

    def is_over(self) -> bool:
        is_first, self._asked = not self._asked, True
        return not is_first and self._end is not None and time.monotonic() >= self._end


@dataclass(frozen=True)
class Going:
    """What goes of one kind, or would.

    Attributes:
        jobs: whose things they are.
        count: of faces, recordings, files, or lines.
        shared: of these jobs, too, but kept, since others need them.
        finished: false where the time was up, so that it is more.
    """

    kind: Kept
    jobs: tuple[str, ...] = ()
    count: int = 0
    bytes: int = 0
    shared: int = 0
    finished: bool = True


@dataclass(frozen=True)
class Due:
    """The jobs whose things of one kind are due."""

    rules: Rules
    at: datetime
    ids: tuple[str, ...]
    members: frozenset[str] = field(repr=False)


def preview(database: Database, store: Store, *, seconds: float | None = None) -> list[Going]:
    """What would go if the rules were applied now, kind by kind. Changes nothing.

    Args:
        seconds: after which it counts no further: a million faces take half a minute.

    Raises:
        StorageUnavailable: whether a preparation still needs recordings cannot be told.
    """
    sources, deadline = planned_sources(database, store), Deadline(seconds)
    with database.read() as session:
        return [
            _faces(session, due_jobs(session, Kept.FACES), deadline),
            _recordings(session, due_jobs(session, Kept.RECORDINGS), sources, deadline),
            _checkpoints(session, due_jobs(session, Kept.CHECKPOINTS)),
            _logs(session, due_jobs(session, Kept.LOGS)),
        ]


def due_jobs(session: Session, kind: Kept) -> Due:
    """The jobs whose things of a kind are due now, the oldest first."""
    rules, at = read_rules(session, kind), now(session)
    if rules.shortest is None:
        return Due(rules, at, (), frozenset())
    query = (
        select(Job.id, Job.labels, Job.finished_at)
        .where(Job.finished_at < at - rules.shortest, Job.state.in_(JOB_FINAL))
        .order_by(Job.id)
    )
    if kind in _JOB_KINDS:
        query = query.where(Job.kind.in_(_JOB_KINDS[kind]))
    if kind is Kept.FACES:  # what was retried since has new ones
        query = query.where(Job.purged_at.is_(None) | (Job.purged_at < Job.finished_at))
    ids = tuple(
        row.id for row in session.execute(query) if is_due(rules, row.id, row.labels, row.finished_at, at)
    )
    return Due(rules, at, ids, frozenset(ids))


def is_due(
    rules: Rules, job_id: str, labels: Mapping[str, Any] | None, finished_at: datetime | None, at: datetime
) -> bool:
    """Whether the things of a job go."""
    days = rules.days_for(job_id, labels)
    return days is not None and finished_at is not None and finished_at < at - timedelta(days=days)


def recordings_going(
    session: Session, due: Due, sources: Collection[str], *, among: Collection[str] | None = None
) -> Iterator[tuple[str, int, set[str], bool]]:
    """Recordings that due jobs have, or no job at all: SHA-256, bytes, jobs, and whether nothing keeps it.

    Kept are those that a job which is not due has, that are in a collection, that an unfinished preparation reads, or
    that somebody sent again lately.

    Args:
        sources: what unfinished preparations read.
        among: look at these only.
    """
    if due.rules.shortest is None:
        return
    for sha256, rows in groupby(
        session.execute(_recordings_and_jobs(due, among).execution_options(yield_per=_ROWS_AT_ONCE)),
        key=lambda row: row.sha256,
    ):
        uses = list(rows)
        jobs = {row.job_id for row in uses if row.job_id is not None}
        goes = (
            not uses[0].collected
            and sha256 not in sources
            and (jobs <= due.members if jobs else _is_loose(due, uses[0].sent_at or uses[0].created_at))
        )
        # What was sent again after the oldest of the limits may be about to be used.
        if goes and jobs and uses[0].sent_at is not None:
            goes = uses[0].sent_at < due.at - due.rules.shortest
        if jobs & due.members or goes:
            yield sha256, uses[0].size_bytes, jobs, goes


def planned_sources(database: Database, store: Store) -> set[str]:
    """The contents that preparations which have not ended read; only their plans name them."""
    with database.read() as session:
        unfinished = select(Job).where(Job.finished_at.is_(None), Job.kind == "prepare")
        plans = {job.spec["plan_sha256"] for job in session.scalars(unfinished)}
    found: set[str] = set()
    for plan in plans:
        try:
            content = store.get(dataset_plan_key(plan))
        except NotFound:
            continue
        for line in content.splitlines():
            entry = json.loads(line).get("entry")
            if entry is not None:
                found.update(
                    source
                    for source in (entry["source"], *(one[1] for one in entry["companions"].values()))
                    if source
                )
    return found


def _is_loose(due: Due, sent_at: datetime) -> bool:
    """Whether what no job has was sent long enough ago."""
    days = due.rules.general
    return days is not None and sent_at < due.at - timedelta(days=days)


def _recordings_and_jobs(
    due: Due, among: Collection[str] | None
) -> Select[str, int, datetime, datetime | None, bool, str | None]:
    assert due.rules.shortest is not None
    sent = (
        select(func.max(RecordingOwner.created_at))
        .where(RecordingOwner.sha256 == Recording.sha256)
        .scalar_subquery()
    )
    collected = Recording.sha256.in_(select(CollectionFile.sha256))
    query = (
        select(
            Recording.sha256,
            Recording.size_bytes,
            Recording.created_at,
            sent.label("sent_at"),
            collected.label("collected"),
            Item.job_id,
        )
        .outerjoin(Item, Item.recording_sha256 == Recording.sha256)
        .where(Recording.purged_at.is_(None), Recording.created_at < due.at - due.rules.shortest)
        .order_by(Recording.sha256)
    )
    return query if among is None else query.where(Recording.sha256.in_(among))


def _faces(session: Session, due: Due, deadline: Deadline) -> Going:
    other = aliased(Item)
    face, spectrogram, thumbnail = aliased(Artifact), aliased(Artifact), aliased(Artifact)
    size = (
        func.coalesce(face.size_bytes, 0)
        + func.coalesce(spectrogram.size_bytes, 0)
        + func.coalesce(thumbnail.size_bytes, 0)
    )
    count = total = shared = 0
    jobs: list[str] = []
    for job_id in due.ids:
        query = (
            select(Drawing.id, size.label("bytes"), other.job_id)
            .join(Item, Item.drawing_id == Drawing.id)
            .join(other, other.drawing_id == Drawing.id)
            .outerjoin(face, face.id == Drawing.face_id)
            .outerjoin(spectrogram, spectrogram.id == Drawing.spectrogram_id)
            .outerjoin(thumbnail, thumbnail.id == Drawing.thumbnail_id)
            .where(Item.job_id == job_id)
            .execution_options(yield_per=_ROWS_AT_ONCE)
        )
        users: dict[str, set[str]] = {}
        sizes: dict[str, int] = {}
        for number, (drawing_id, size_bytes, user) in enumerate(session.execute(query)):
            users.setdefault(drawing_id, set()).add(user)
            sizes[drawing_id] = size_bytes
            if number % _ROWS_AT_ONCE == 0 and deadline.is_over():
                return Going(Kept.FACES, tuple(jobs), count, total, shared, finished=False)
        if users:
            jobs.append(job_id)
        for drawing_id, using in users.items():
            if not using <= due.members:
                shared += 1
            elif min(using) == job_id:  # counted with the first of them
                count += 1
                total += sizes[drawing_id]
    return Going(Kept.FACES, tuple(jobs), count, total, shared)


def _recordings(session: Session, due: Due, sources: set[str], deadline: Deadline) -> Going:
    count = total = shared = 0
    jobs: set[str] = set()
    for number, (_, size_bytes, used_by, goes) in enumerate(recordings_going(session, due, sources)):
        if number % _ROWS_AT_ONCE == 0 and deadline.is_over():
            return Going(Kept.RECORDINGS, tuple(sorted(jobs)), count, total, shared, finished=False)
        if goes:
            jobs |= used_by
            count, total = count + 1, total + size_bytes
        else:
            shared += 1
    return Going(Kept.RECORDINGS, tuple(sorted(jobs)), count, total, shared)


def _checkpoints(session: Session, due: Due) -> Going:
    return _summed(
        session, due, Kept.CHECKPOINTS, JobFile.job_id, JobFile.size_bytes, JobFile.kind.in_(CHECKPOINTS)
    )


def _logs(session: Session, due: Due) -> Going:
    return _summed(session, due, Kept.LOGS, LogLine.job_id, func.length(LogLine.text))


def _summed(session: Session, due: Due, kind: Kept, of: Any, size: Any, *where: Any) -> Going:
    count = total = 0
    jobs: list[str] = []
    for start in range(0, len(due.ids), _ROWS_AT_ONCE):
        some = due.ids[start : start + _ROWS_AT_ONCE]
        query = select(of, func.count(), func.sum(size)).where(of.in_(some), *where).group_by(of)
        for job_id, rows, bytes_ in session.execute(query):
            jobs.append(job_id)
            count, total = count + rows, total + int(bytes_ or 0)
    return Going(kind, tuple(sorted(jobs)), count, total, 0)
