"""Who works on what now, and what waits in each queue. Asks only of workers that are there and of jobs in play."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from core.errors import NotFound
from core.ledger.database import now
from core.ledger.tables import Attempt, Job, User, Worker
from core.states import JOB_CLAIMABLE, AttemptState, JobState

_GONE_SHOWN = timedelta(hours=1)
_AT_MOST = 200
_SILENT = timedelta(seconds=60)
# A rate older than this says nothing of how fast a queue empties now.
_RATE_HOLDS = timedelta(minutes=2)


@dataclass(frozen=True)
class Chunk:
    """A claim that a worker works on."""

    job_id: str
    job_name: str
    kind: str
    items: int
    done: int
    since: datetime
    items_per_second: float | None  # None until something of it has come to its end


@dataclass(frozen=True)
class WorkerRow:
    worker: Worker
    chunks: Sequence[Chunk]
    state: str  # working, idle, draining, drained, leaving, silent or gone

    @property
    def items_per_second(self) -> float | None:
        rates = [chunk.items_per_second for chunk in self.chunks if chunk.items_per_second is not None]
        return sum(rates) if rates else None

    @property
    def is_drainable(self) -> bool:
        return self.worker.ended_at is None and self.worker.draining_at is None


@dataclass(frozen=True)
class Waiting:
    """A job with items that nobody has claimed."""

    job: Job
    owner: str


@dataclass(frozen=True)
class QueueRow:
    name: str
    items: int  # that wait
    leased: int
    jobs: int  # that have waiting items
    oldest_wait_seconds: float | None
    first_wait_seconds: float | None  # of the oldest job that no worker has begun with
    seconds_to_empty: float | None  # None while nothing is known of the rate
    workers: int  # that may claim from it
    draining: int
    first: Sequence[Waiting]  # in the order of priority and age


def list_workers(session: Session) -> list[WorkerRow]:
    """Workers that are there, longest first, then those that left within the hour; 200 at most."""
    at = now(session)
    found = session.scalars(
        select(Worker)
        .where(or_(Worker.ended_at.is_(None), Worker.ended_at > at - _GONE_SHOWN))
        .order_by(Worker.ended_at.is_not(None), Worker.started_at.desc(), Worker.id)
        .limit(_AT_MOST)
    ).all()
    chunks = _chunks_by_worker(session, at)
    return [
        WorkerRow(worker, chunks.get(worker.id, []), _state(worker, bool(chunks.get(worker.id)), at))
        for worker in found
    ]


def get_worker(session: Session, worker_id: str) -> WorkerRow:
    """Raises:
    NotFound: there is no such worker.
    """
    worker = session.get(Worker, worker_id)
    if worker is None:
        raise NotFound("There is no such worker.")
    at = now(session)
    chunks = _chunks_by_worker(session, at).get(worker.id, [])
    return WorkerRow(worker, chunks, _state(worker, bool(chunks), at))


def list_queues(session: Session, *, shown: int = 50) -> list[QueueRow]:
    """Every queue that has work or a worker, by name.

    Args:
        shown: of the waiting jobs of each queue, at most so many.
    """
    at = now(session)
    jobs: dict[str, list[Waiting]] = defaultdict(list)
    in_play = (
        select(Job, User.name)
        .join(User, User.id == Job.owner_id)
        .where(Job.state.in_(JOB_CLAIMABLE), Job.finished_at.is_(None))
        .order_by(Job.priority.desc(), Job.created_at, Job.id)
    )
    for job, owner in session.execute(in_play):
        jobs[job.queue].append(Waiting(job, owner))
    present = session.scalars(select(Worker).where(Worker.ended_at.is_(None))).all()
    names = sorted({*jobs, *(worker.queue for worker in present)})
    return [
        _queue(name, jobs[name], [worker for worker in present if worker.queue == name], at, shown)
        for name in names
    ]


def _queue(name: str, jobs: list[Waiting], workers: list[Worker], at: datetime, shown: int) -> QueueRow:
    waiting = [one for one in jobs if one.job.pending > 0]
    pending = sum(one.job.pending for one in waiting)
    leased = sum(one.job.leased for one in jobs)
    since = [one.job.queued_at or one.job.created_at for one in waiting]
    unbegun = [began for one, began in zip(waiting, since, strict=True) if one.job.state == JobState.QUEUED]
    rates = [
        one.job.rate_per_second
        for one in jobs
        if one.job.rate_per_second and one.job.rated_at is not None and one.job.rated_at > at - _RATE_HOLDS
    ]
    open_to_work = [worker for worker in workers if not (worker.draining_at or worker.leaving_at)]
    return QueueRow(
        name=name,
        items=pending,
        leased=leased,
        jobs=len(waiting),
        oldest_wait_seconds=_longest(since, at),
        first_wait_seconds=_longest(unbegun, at),
        seconds_to_empty=(pending + leased) / sum(rates) if rates else 0.0 if not pending + leased else None,
        workers=len(open_to_work),
        draining=len(workers) - len(open_to_work),
        first=waiting[:shown],
    )


def _longest(since: Sequence[datetime], at: datetime) -> float | None:
    return max(0.0, (at - min(since)).total_seconds()) if since else None


def _chunks_by_worker(session: Session, at: datetime) -> dict[str, list[Chunk]]:
    found: dict[str, list[Chunk]] = defaultdict(list)
    active = (
        select(Attempt, Job.name, Job.kind)
        .join(Job, Job.id == Attempt.job_id)
        .where(Attempt.state == AttemptState.ACTIVE)
        .order_by(Attempt.started_at, Attempt.id)
    )
    for attempt, name, kind in session.execute(active):
        took = (attempt.progress_at - attempt.started_at).total_seconds()
        rate = attempt.progress / took if attempt.progress and took > 0 else None
        found[attempt.worker_id].append(
            Chunk(attempt.job_id, name, kind, attempt.items, attempt.progress, attempt.started_at, rate)
        )
    return found


def _state(worker: Worker, works: bool, at: datetime) -> str:
    if worker.ended_at is not None:
        return "gone"
    if worker.seen_at < at - _SILENT:
        return "silent"
    if worker.leaving_at is not None:
        return "leaving"
    if worker.draining_at is not None:
        return "draining" if works else "drained"
    return "working" if works else "idle"
