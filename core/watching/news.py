"""Whether anything moved in the whole place: what lists on pages ask once a second.

The marks are read with one query over ends of indexes and small tables, whatever the size of the ledger.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from core.ledger.schedule_tables import Schedule, ScheduleRun
from core.ledger.tables import Job, Transition, User, Worker
from core.queries import visible_to

# Whoever is further behind than this many moves is told to read again, and no moves are read for them.
_MOST_MOVES = 20_000


@dataclass(frozen=True)
class Marks:
    """Each part changes when what it is about does."""

    transition: int
    workers: tuple[Any, ...]
    schedules: tuple[Any, ...]


def read_marks(session: Session) -> Marks:
    row = session.execute(
        select(
            *(
                select(func.max(column)).scalar_subquery()
                for column in (
                    Transition.id,
                    Worker.started_at,
                    Worker.seen_at,
                    Worker.draining_at,
                    Worker.ended_at,
                    Schedule.created_at,
                    Schedule.paused_at,
                    Schedule.removed_at,
                    Schedule.next_fire_at,
                    ScheduleRun.created_at,
                    ScheduleRun.ended_at,
                )
            )
        )
    ).one()
    return Marks(row[0] or 0, tuple(row[1:5]), tuple(row[5:]))


def moved_jobs(session: Session, viewer: User, since: int, *, until: int) -> list[str] | None:
    """The jobs the viewer may see that moved after one transition and up to another; None where it is too many."""
    if until - since > _MOST_MOVES:
        return None
    moved = select(Transition.job_id).where(Transition.id > since, Transition.id <= until).distinct()
    return [*session.scalars(select(Job.id).where(Job.id.in_(moved), visible_to(viewer)).order_by(Job.id))]
