"""How long a job would take, said before it is made: from what workers really did, or not at all.

Rates are those of claims that are on record. A model that has not drawn anything here yet has none, and nobody is told
a made-up time instead.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.costs import GB, Cost, Prices, bytes_of_a_face, seconds_covered
from core.ledger.tables import Attempt, Job, ModelVersion, User, Worker
from core.models.registry import resolve_model
from core.states import JOB_CLAIMABLE

# Enough to even out short jobs, few enough to be of the machines that work now.
_JOBS_MEASURED = 12
_ATTEMPTS_MEASURED = 400


@dataclass(frozen=True)
class Estimate:
    """What is known of how long a job would take.

    Attributes:
        items_ahead: recordings of other jobs that are drawn before the last one of this job.
        others_ahead: trainings, datasets and the like that are claimed first; how long they take is not counted.
        workers: that may claim from the queue now.
        items_per_second: of one worker with this model, as measured; None where it has never drawn here.
        seconds: until the last face; None where it cannot be known.
        cost: of the job alone, whatever goes before it; None where it cannot be known or there are no prices.
    """

    model: str
    items: int
    items_ahead: int
    others_ahead: int
    workers: int
    items_per_second: float | None
    seconds: float | None
    cost: Cost | None = None

    @property
    def sentence(self) -> str:
        """The same for people."""
        if not self.workers:
            return "No worker has been at work here yet: it begins as soon as one takes it."
        if self.items_per_second is None or self.seconds is None:
            return f"How long it takes is not known yet: {self.model} has not drawn anything here so far."
        sentence = f"About {in_words(self.seconds)}, at {self.items_per_second * self.workers:.2g} a second"
        if self.items_ahead:
            sentence += f" and with {self.items_ahead:,} recordings before or beside it"
        sentence += "."
        if self.others_ahead:
            jobs = "job of another kind goes" if self.others_ahead == 1 else "jobs of another kind go"
            sentence += f" {self.others_ahead} {jobs} first, which is not counted."
        return sentence


def estimate(
    session: Session,
    viewer: User,
    *,
    model: str,
    items: int,
    queue: str,
    priority: int = 0,
    prices: Prices | None = None,
) -> Estimate:
    """Raises:
    InvalidRequest: there is no such model.
    """
    version = resolve_model(session, model)
    ahead, others = _ahead(session, viewer, items, queue, priority)
    workers = session.scalars(
        select(Worker.device).where(
            Worker.queue == queue,
            Worker.ended_at.is_(None),
            Worker.draining_at.is_(None),
            Worker.leaving_at.is_(None),
        )
    ).all()
    rate = _rate_of_one(session, version)
    seconds = (items + ahead) / (rate * len(workers)) if rate and workers else None
    cost = _cost(session, version, items, rate, workers, prices)
    return Estimate(version.label, items, ahead, others, len(workers), rate, seconds, cost)


def _cost(
    session: Session,
    version: ModelVersion,
    items: int,
    rate: float | None,
    devices: Sequence[str],
    prices: Prices | None,
) -> Cost | None:
    """At what one worker draws a second, and the mean price of those that are there."""
    if prices is None:
        return None
    hours = [prices.of_device(device) for device in devices]
    known = [hour for hour in hours if hour is not None]
    work = None
    if rate and known and len(known) == len(hours):
        work = sum(known) / len(known) * items / rate / 3600
    storage = None
    if prices.gb_month is not None:
        drawn = select(Job.id).where(Job.model_version_id == version.id, Job.kind == "infer", Job.done > 0)
        last = session.scalar(drawn.order_by(Job.id.desc()).limit(1))
        storage = prices.gb_month * bytes_of_a_face(session, last) * items / GB if last else None
    if work is None and not storage:
        return None
    return Cost(work, None if work is None else 1000 * work / items, storage or None, prices.currency)


def in_words(seconds: float) -> str:
    """A time as far as a guess carries it."""
    for unit, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= 0.95 * length:
            count = max(1, round(seconds / length))
            return f"{count} {unit}{'s' if count != 1 else ''}"
    count = max(1, round(seconds))
    return f"{count} second{'s' if count != 1 else ''}"


def _ahead(session: Session, viewer: User, items: int, queue: str, priority: int) -> tuple[int, int]:
    """Recordings, and jobs of other kinds, that are claimed before the last recording of the new job.

    Owners of one priority are served in turn (`core.claims.leases.claim_chunk`), so of what others have, no more goes
    before than the new job's owner has waiting.
    """
    rows = session.execute(
        select(Job.kind, Job.owner_id, Job.priority, Job.pending + Job.leased).where(
            Job.state.in_(JOB_CLAIMABLE),
            Job.finished_at.is_(None),
            Job.queue == queue,
            Job.priority >= priority,
        )
    ).all()
    sooner = 0
    beside: dict[str, int] = defaultdict(int)
    others = 0
    for kind, owner, its_priority, waiting in rows:
        if not waiting:
            continue
        if kind != "infer":
            others += 1
        elif its_priority > priority:
            sooner += waiting
        else:
            beside[owner] += waiting
    own = beside.pop(viewer.id, 0)
    return sooner + own + sum(min(waiting, own + items) for waiting in beside.values()), others


def _rate_of_one(session: Session, version: ModelVersion) -> float | None:
    """Recordings a second that one worker brings to an end with this model."""
    jobs = session.scalars(
        select(Job.id)
        .where(Job.model_version_id == version.id, Job.kind == "infer", Job.started_at.is_not(None))
        .order_by(Job.id.desc())
        .limit(_JOBS_MEASURED)
    ).all()
    by_worker: dict[str, list[tuple[datetime, datetime]]] = defaultdict(list)
    ended = 0
    rows = session.execute(
        select(Attempt.worker_id, Attempt.started_at, Attempt.progress_at, Attempt.progress)
        .where(Attempt.job_id.in_(jobs), Attempt.progress > 0)
        .order_by(Attempt.started_at.desc())
        .limit(_ATTEMPTS_MEASURED)
    )
    for worker, begun, last, count in rows:
        by_worker[worker].append((begun, last))
        ended += count
    worked = sum(seconds_covered(spans) for spans in by_worker.values())
    return ended / worked if worked > 0 else None
