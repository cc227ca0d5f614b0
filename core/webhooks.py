"""Notes about runs and jobs that have ended: written in the transaction of the end, delivered later, for a day at most.

Whoever may be asked to deliver takes a note for a while first, so that two tickers do not send it at the same time; one
that was killed in between sends it again. A receiver knows the second copy by its id.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from core.identifiers import new_id
from core.ledger.database import Database, now
from core.ledger.schedule_tables import JobWebhook, Schedule, ScheduleRun, WebhookDelivery
from core.webhook_sending import Answer, send

Clock = Callable[[Session], datetime]

SECRET_PREFIX = "vswh_"  # noqa: S105 - lets scanners of leaked secrets know ours
GIVEN_UP_AFTER = timedelta(days=1)
_FIRST_WAIT_SECONDS = 10.0
_LONGEST_WAIT_SECONDS = 3600.0
_TAKEN_FOR = timedelta(minutes=2)  # longer than any sending takes
_AT_ONCE = 20


def new_secret() -> str:
    """A secret that nobody guesses; it is shown once, and kept because every note is signed with it."""
    return SECRET_PREFIX + secrets.token_urlsafe(32)


def enter_note(
    session: Session, schedule: Schedule, run: ScheduleRun, *, sentence: str, at: datetime
) -> None:
    """Writes a note about a run that has just ended, where somebody asked for one."""
    if schedule.webhook_url is None or run.ended_at is None:
        return
    body = {
        "event": "schedule.run.ended",
        "schedule": schedule.name,
        "run": run.id,
        "fire_time": run.fire_time.isoformat(),
        "why": run.why,
        "state": run.state.value,
        "sentence": sentence,
        "result": run.result,
        "ended_at": run.ended_at.isoformat(),
    }
    session.add(
        WebhookDelivery(
            id=new_id("note"),
            run_id=run.id,
            url=schedule.webhook_url,
            body=body,
            attempts=0,
            next_attempt_at=at,
            created_at=at,
        )
    )
    session.flush()


def notes_of_job(session: Session, job_id: str) -> tuple[str | None, list[WebhookDelivery]]:
    """Where the end of a job is told, if anywhere, and the newest notes about it."""
    webhook = session.get(JobWebhook, job_id)
    notes = session.scalars(
        select(WebhookDelivery)
        .where(WebhookDelivery.job_id == job_id)
        .order_by(WebhookDelivery.id.desc())
        .limit(_AT_ONCE)
    )
    return webhook.url if webhook else None, list(notes)


def deliver(database: Database, *, private: bool, clock: Clock = now) -> int:
    """Sends what is due; answers how many notes were delivered.

    Args:
        private: whether notes may go to loopback and private addresses.
    """
    delivered = 0
    for delivery_id in _due(database, clock):
        taken = _take(database, delivery_id, clock)
        if taken is None:
            continue  # somebody else has it
        note, secret, at = taken
        answer = send(
            note.url, secret, note.id, body_of(note.body), timestamp=int(at.timestamp()), private=private
        )
        _record(database, note, answer, clock)
        delivered += answer.delivered
    return delivered


def body_of(body: dict[str, Any]) -> bytes:
    """The bytes that are sent and signed; the same every time a note is sent."""
    return json.dumps(body, sort_keys=True).encode()


def wait_seconds(attempts: int) -> float:
    """How long to wait after so many attempts: 10 s at first, twice as long each time, an hour at most."""
    return min(_FIRST_WAIT_SECONDS * 2.0 ** min(attempts - 1, 20), _LONGEST_WAIT_SECONDS)


def _due(database: Database, clock: Clock) -> list[str]:
    with database.read() as session:
        query = (
            select(WebhookDelivery.id)
            .where(WebhookDelivery.next_attempt_at <= clock(session))
            .order_by(WebhookDelivery.next_attempt_at)
            .limit(_AT_ONCE)
        )
        return list(session.scalars(query))


def _take(database: Database, delivery_id: str, clock: Clock) -> tuple[WebhookDelivery, str, datetime] | None:
    with database.write() as session:
        at = clock(session)
        taken = session.execute(
            update(WebhookDelivery)
            .where(WebhookDelivery.id == delivery_id, WebhookDelivery.next_attempt_at <= at)
            .values(next_attempt_at=at + _TAKEN_FOR, attempts=WebhookDelivery.attempts + 1)
            .returning(WebhookDelivery.id)
        ).first()
        if taken is None:
            return None
        note, of_schedule, of_job = session.execute(
            select(WebhookDelivery, Schedule.webhook_secret, JobWebhook.secret)
            .outerjoin(ScheduleRun, ScheduleRun.id == WebhookDelivery.run_id)
            .outerjoin(Schedule, Schedule.id == ScheduleRun.schedule_id)
            .outerjoin(JobWebhook, JobWebhook.job_id == WebhookDelivery.job_id)
            .where(WebhookDelivery.id == delivery_id)
        ).one()
        return note, of_job or of_schedule or "", at


def _record(database: Database, note: WebhookDelivery, answer: Answer, clock: Clock) -> None:
    with database.write() as session:
        at = clock(session)
        values: dict[str, Any] = {"last_error": None if answer.delivered else answer.sentence}
        if answer.delivered:
            values |= {"delivered_at": at, "next_attempt_at": None}
        elif not answer.again or at - note.created_at > GIVEN_UP_AFTER:
            values |= {"next_attempt_at": None}
        else:
            values |= {"next_attempt_at": at + timedelta(seconds=wait_seconds(note.attempts))}
        session.execute(update(WebhookDelivery).where(WebhookDelivery.id == note.id).values(values))
