"""The register of workers: who is there, on what device, and whether they are about to leave."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from core.code_identity import code_name
from core.identifiers import new_id
from core.ledger.database import Database, now
from core.ledger.tables import Worker
from core.processes import host_identity, is_alive, process_started

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
        utilisation={"code": code_name()},  # so that a version that was left behind is noticed
        started_at=at,
        seen_at=at,
    )
    session.add(worker)
    session.flush()
    return worker.id


@dataclass(frozen=True)
class Orders:
    """What a worker was asked to do."""

    draining: bool  # claim nothing more
    leaving: bool  # and give back what it holds, since its process ends


def orders_of(session: Session, worker_id: str) -> Orders:
    found = session.execute(
        select(Worker.draining_at, Worker.leaving_at).where(Worker.id == worker_id)
    ).one_or_none()
    draining, leaving = found if found is not None else (None, None)
    return Orders(draining=draining is not None or leaving is not None, leaving=leaving is not None)


def tell_utilisation(session: Session, worker_id: str, measured: Mapping[str, Any]) -> None:
    """Notes what a worker measured of itself and its device.

    Args:
        measured: `cpu_percent` (of one core) and `memory_bytes` of the process with its children, `device_name`, and
            of a GPU whose driver answers `gpu_percent`, `gpu_memory_bytes`, `gpu_memory_total_bytes` and
            `gpu_celsius`; and in `tally` what it counted (`core.watching.tallies`).
    """
    told = {"code": code_name(), **measured}
    session.execute(update(Worker).where(Worker.id == worker_id).values(utilisation=told))


def drain_processes(session: Session, pids: list[int]) -> None:
    """Tells workers of this machine, by process number, that their processes end."""
    session.execute(
        update(Worker)
        .where(Worker.host == host_identity(), Worker.pid.in_(pids), Worker.ended_at.is_(None))
        .values(leaving_at=now(session))
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
