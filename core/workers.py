"""The register of workers: who is there, on what device, and whether they are about to leave."""

from __future__ import annotations

import os
from datetime import timedelta

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from core.database import Database, now
from core.identifiers import new_id
from core.processes import host_identity, is_alive, process_started
from core.tables import Worker

_SILENCE = timedelta(minutes=5)


def register_worker(session: Session, *, queue: str, device: str) -> str:
    """Enters this very process and answers its worker id."""
    at = now(session)
    worker = Worker(
        id=new_id("worker"),
        host=host_identity(),
        pid=os.getpid(),
        process_started=process_started(),
        queue=queue,
        device=device,
        started_at=at,
        seen_at=at,
    )
    session.add(worker)
    session.flush()
    return worker.id


def is_draining(session: Session, worker_id: str) -> bool:
    """Whether the worker was asked to finish what it holds and claim nothing more."""
    return session.scalar(select(Worker.draining_at).where(Worker.id == worker_id)) is not None


def drain_processes(session: Session, pids: list[int]) -> None:
    """Asks workers of this machine, by process number, to stop claiming."""
    session.execute(
        update(Worker)
        .where(Worker.host == host_identity(), Worker.pid.in_(pids), Worker.ended_at.is_(None))
        .values(draining_at=now(session))
    )


def forget_dead_workers(database: Database) -> None:
    """Marks as gone whoever is no process of this machine any more, and whoever was not seen elsewhere for long."""
    with database.read() as session:
        at = now(session)
        present = session.scalars(select(Worker).where(Worker.ended_at.is_(None))).all()
    here = host_identity()
    gone = [
        worker.id
        for worker in present
        if (
            not is_alive(worker.pid, worker.process_started)
            if worker.host == here
            else worker.seen_at < at - _SILENCE
        )
    ]
    if gone:
        with database.write() as session:
            session.execute(update(Worker).where(Worker.id.in_(gone)).values(ended_at=at, doing=""))


def end_worker(session: Session, worker_id: str) -> None:
    session.execute(update(Worker).where(Worker.id == worker_id).values(ended_at=now(session), doing=""))
