"""The outbox: doorbells are written beside the work, rung afterwards, and rung again if nobody came.

A doorbell says only that a queue has work. Ringing once too often costs a look into the ledger; the ledger is never
wrong, so losing the whole broker costs seconds.
"""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from typing import Protocol

import structlog
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from core.ledger.database import Database, now
from core.ledger.tables import Job, Outbox
from core.states import JOB_CLAIMABLE
from core.watching.tracing import tracer

log = structlog.get_logger()

# More workers than this are woken by the reconciler, or find the work by themselves when they finish other work.
MOST_RINGS = 8
_ITEMS_FOR_A_WORKER = 32  # fewer are not worth waking another one
_AT_ONCE = 100


class Doorbell(Protocol):
    def ring(self, queue: str) -> None:
        """Wakes one worker of a queue.

        Raises:
            BrokerUnavailable: nobody could be told.
        """


def ring(session: Session, job: Job, *, at: datetime) -> None:
    """Writes a job's doorbell in the transaction that made its work."""
    job.rung_at = at
    session.add(Outbox(job_id=job.id, queue=job.queue, rings=_rings_for(job.pending), created_at=at))
    session.flush()


def publish(database: Database, doorbell: Doorbell) -> int:
    """Rings what the outbox holds, oldest first; answers how many rows it rang.

    Raises:
        BrokerUnavailable: the rest stays in the outbox for the next call.
    """
    with database.read() as session:
        rows = session.scalars(
            select(Outbox).where(Outbox.published_at.is_(None)).order_by(Outbox.id).limit(_AT_ONCE)
        ).all()
    # One message wakes one worker whatever wrote it, so the same queue need not be rung twice for one look.
    rings: dict[str, int] = {}
    for row in rows:
        rings[row.queue] = max(rings.get(row.queue, 0), row.rings)
    for queue, count in rings.items():
        for _ in range(count):
            doorbell.ring(queue)
    if rows:
        with database.write() as session:
            session.execute(
                update(Outbox)
                .where(Outbox.id.in_([row.id for row in rows]), Outbox.published_at.is_(None))
                .values(published_at=now(session))
            )
    if rows:
        jobs = list(dict.fromkeys(row.job_id for row in rows))
        log.info("rang", job=jobs[0] if len(jobs) == 1 else jobs)
    for row in rows:
        tracer().record("ring", row.job_id, row.created_at.timestamp(), rings=row.rings)
    return len(rows)


def ring_again(database: Database, *, after_seconds: float) -> int:
    """Writes a new doorbell for every queue whose waiting jobs were rung long ago; answers how many queues."""
    with database.write() as session:
        at = now(session)
        waiting = (Job.state.in_(JOB_CLAIMABLE)) & (Job.pending > 0) & Job.finished_at.is_(None)
        stale = session.execute(
            select(Job.queue, func.min(Job.id), func.sum(Job.pending), func.max(Job.rung_at))
            .where(waiting)
            .group_by(Job.queue)
        ).all()
        rung = 0
        for queue, job_id, pending, rung_at in stale:
            if rung_at is not None and rung_at > at - timedelta(seconds=after_seconds):
                continue
            session.add(Outbox(job_id=job_id, queue=queue, rings=_rings_for(pending), created_at=at))
            # A job that somebody holds at this moment has a worker, and is waited for by nobody.
            free = select(Job.id).where(waiting, Job.queue == queue)
            free = free.with_for_update(key_share=True, skip_locked=True)
            session.execute(update(Job).where(Job.id.in_(free)).values(rung_at=at))
            rung += 1
        return rung


def _rings_for(pending: int) -> int:
    return max(1, min(MOST_RINGS, math.ceil(pending / _ITEMS_FOR_A_WORKER)))
