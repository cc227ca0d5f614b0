"""Reading schedules, their runs and the notes about them, for pages and the API. Everybody may see all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.errors import NotFound
from core.ledger.schedule_tables import Schedule, ScheduleRun, WebhookDelivery
from core.ledger.tables import User
from core.schedules.cron import in_words, next_fire_times
from core.schedules.states import RunState

_SHOWN_NEXT = 5


@dataclass(frozen=True)
class ScheduleRow:
    """A schedule, whose it is, and its newest run that was no mere skip."""

    schedule: Schedule
    owner: str
    last: ScheduleRun | None


def list_schedules(session: Session) -> list[ScheduleRow]:
    """By name; what was removed is left out."""
    query = (
        select(Schedule, User.name)
        .join(User, User.id == Schedule.owner_id)
        .where(Schedule.removed_at.is_(None))
        .order_by(Schedule.name)
    )
    return [
        ScheduleRow(schedule, owner, _last(session, schedule)) for schedule, owner in session.execute(query)
    ]


def list_runs(
    session: Session, schedule_id: str, *, limit: int = 20, before: str | None = None
) -> Sequence[ScheduleRun]:
    """Newest first; the id of the last one of a page is the cursor (`before`) of the next."""
    query = select(ScheduleRun).where(ScheduleRun.schedule_id == schedule_id)
    if before is not None:
        query = query.where(ScheduleRun.id < before)
    return session.scalars(query.order_by(ScheduleRun.id.desc()).limit(limit)).all()


def get_run(session: Session, schedule: Schedule, run_id: str) -> ScheduleRun:
    """A run of a schedule.

    Raises:
        NotFound: it has none of that id.
    """
    run = session.get(ScheduleRun, run_id)
    if run is None or run.schedule_id != schedule.id:
        raise NotFound(f"{schedule.name} has no run {run_id!r}.")
    return run


def notes_of(session: Session, run_ids: Sequence[str]) -> dict[str, WebhookDelivery]:
    """The newest note about each of some runs."""
    query = select(WebhookDelivery).where(WebhookDelivery.run_id.in_(run_ids)).order_by(WebhookDelivery.id)
    return {note.run_id: note for note in session.scalars(query) if note.run_id is not None}


def next_times(schedule: Schedule, at: datetime) -> list[datetime]:
    """When it fires next; nothing while it is paused, and of one that goes by new pairs alone."""
    if schedule.cron is None or schedule.paused_at is not None or schedule.removed_at is not None:
        return []
    return next_fire_times(schedule.cron, schedule.time_zone, at, _SHOWN_NEXT)


def when_in_words(cron: str | None, time_zone: str, new_pairs: int | None) -> str:
    """When a schedule fires, as people say it."""
    words = [f"{in_words(cron)} ({time_zone})"] if cron is not None else []
    if new_pairs is not None:
        pairs = "1 new pair has" if new_pairs == 1 else f"{new_pairs:,} new pairs have"
        words.append(f"{'as soon as' if words else 'As soon as'} {pairs} arrived")
    return ", or ".join(words)


def _last(session: Session, schedule: Schedule) -> ScheduleRun | None:
    query = select(ScheduleRun).where(
        ScheduleRun.schedule_id == schedule.id, ScheduleRun.state != RunState.SKIPPED
    )
    return session.scalar(query.order_by(ScheduleRun.id.desc()).limit(1))
