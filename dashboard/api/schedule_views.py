"""Schedules and their runs as the API shows them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from flask import url_for
from sqlalchemy.orm import Session

from core.ledger.database import now
from core.ledger.schedule_tables import Schedule, ScheduleRun, WebhookDelivery
from core.ledger.tables import User
from core.schedules.cron import check_zone
from core.schedules.queries import next_times, notes_of
from core.schedules.specs import Retraining
from core.schedules.states import SENTENCES
from dashboard.api.schedule_schemas import FireTime, NoteView, RunView, ScheduleLinks, ScheduleView
from dashboard.permissions import may_schedule
from dashboard.spoken import when_words
from dashboard.translation import said


def schedule_view(
    session: Session,
    schedule: Schedule,
    user: User,
    *,
    owner: str,
    last: ScheduleRun | None,
    zone: str | None = None,
) -> ScheduleView:
    """Args:
    user: who looks; an address of a webhook may hold a key, so only those who could change it see all of it.
    zone: of whoever looks.
    """
    times = next_times(schedule, now(session))
    return ScheduleView(
        id=schedule.id,
        name=schedule.name,
        owner=owner,
        when=when_words(schedule),
        cron=schedule.cron,
        time_zone=schedule.time_zone,
        new_pairs=schedule.new_pairs,
        template=Retraining.model_validate(schedule.template),
        catch_up=schedule.catch_up,
        overlap=schedule.overlap,
        webhook_url=schedule.webhook_url if may_schedule(user) else host_of(schedule.webhook_url),
        paused_at=schedule.paused_at,
        last_fired_at=schedule.last_fired_at,
        next=fire_times(times, schedule.time_zone, zone),
        last_run=run_views(session, [last])[0] if last is not None else None,
        created_at=schedule.created_at,
        links=ScheduleLinks(
            self=url_for("schedules.show", name=schedule.name),
            html=url_for("schedule_pages.show", name=schedule.name),
        ),
    )


def run_views(session: Session, runs: Sequence[ScheduleRun]) -> list[RunView]:
    """Runs, each with the note that was sent about it."""
    notes = notes_of(session, [run.id for run in runs])
    return [run_view(run, notes.get(run.id)) for run in runs]


def run_view(run: ScheduleRun, note: WebhookDelivery | None = None) -> RunView:
    return RunView(
        id=run.id,
        fire_time=run.fire_time,
        why=run.why,
        state=run.state,
        sentence=said(run.reason or SENTENCES[run.state]),
        prepare_job=run.prepare_job_id,
        train_job=run.train_job_id,
        pairs=run.pairs,
        result={name: value for name, value in run.result.items() if name != "training"},
        created_at=run.created_at,
        ended_at=run.ended_at,
        note=note
        and NoteView(
            delivered_at=note.delivered_at,
            attempts=note.attempts,
            next_attempt_at=note.next_attempt_at,
            last_error=note.last_error,
        ),
    )


def fire_times(times: Sequence[datetime], schedule_zone: str, zone: str | None) -> list[FireTime]:
    """Points in time, in the schedule's zone and in that of whoever looks.

    Raises:
        InvalidRequest: there is no such zone.
    """
    here, there = ZoneInfo(schedule_zone), check_zone(zone) if zone else None
    return [
        FireTime(
            at=at,
            local=at.astimezone(here).isoformat(timespec="minutes"),
            yours=at.astimezone(there).isoformat(timespec="minutes") if there else None,
        )
        for at in times
    ]


def host_of(url: str | None) -> str | None:
    return urlsplit(url).hostname if url else None
