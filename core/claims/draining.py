"""Asking a worker to claim nothing more, and letting it claim again. It finishes what it holds either way."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.claims.outbox import ring
from core.errors import Conflict, NotFound
from core.ledger.database import now
from core.ledger.tables import Job, Worker
from core.people import audit
from core.states import JOB_CLAIMABLE


def drain_worker(session: Session, worker_id: str, *, actor: str) -> Worker:
    """Lets a worker finish its chunk and claim nothing more. Asked again, it changes nothing.

    Raises:
        NotFound: there is no such worker.
        Conflict: it is gone.
    """
    worker = _present(session, worker_id)
    if worker.draining_at is None:
        worker.draining_at = now(session)
        audit.record(session, actor=actor, action="worker.drain", subject=worker.id)
    return worker


def undrain_worker(session: Session, worker_id: str, *, actor: str) -> Worker:
    """Lets a drained worker claim again, and rings for the oldest job that waits for it.

    Raises:
        NotFound: there is no such worker.
        Conflict: it is gone, or its process is about to end.
    """
    worker = _present(session, worker_id)
    if worker.leaving_at is not None:
        raise Conflict("This worker's process is about to end; start another one.")
    if worker.draining_at is not None:
        worker.draining_at = None
        audit.record(session, actor=actor, action="worker.undrain", subject=worker.id)
        waiting = (
            select(Job)
            .where(
                Job.state.in_(JOB_CLAIMABLE),
                Job.finished_at.is_(None),
                Job.pending > 0,
                Job.queue == worker.queue,
            )
            .order_by(Job.created_at, Job.id)
            .limit(1)
        )
        if (job := session.scalar(waiting)) is not None:
            ring(session, job, at=now(session))
    return worker


def _present(session: Session, worker_id: str) -> Worker:
    worker = session.get(Worker, worker_id, with_for_update=True)
    if worker is None:
        raise NotFound("There is no such worker.")
    if worker.ended_at is not None:
        raise Conflict("This worker is gone; there is nothing to drain.")
    return worker
