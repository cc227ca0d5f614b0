"""A note about the end of a job, written in the transaction that ends it: it is there if and only if the end is."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from core.identifiers import new_id
from core.ledger.schedule_tables import JobWebhook, WebhookDelivery
from core.ledger.tables import Job

_COUNTS = ("total", "pending", "leased", "done", "cached", "failed", "skipped", "cancelled")


def enter_job_note(session: Session, job: Job, *, at: datetime) -> None:
    """Writes a note about a job that has just ended, where somebody asked for one. `core/webhooks.py` delivers it."""
    webhook = session.get(JobWebhook, job.id)
    if webhook is None:
        return
    body = {
        "event": "job.ended",
        "job": job.id,
        "name": job.name,
        "kind": job.kind,
        "state": job.state.value,
        "request_counts": {name: getattr(job, name) for name in _COUNTS},
        "metadata": dict(job.labels or {}),
        "error": {"code": job.error_code, "message": job.error_message or ""} if job.error_code else None,
        "created_at": job.created_at.isoformat(),
        "ended_at": at.isoformat(),
    }
    session.add(
        WebhookDelivery(
            id=new_id("note"),
            job_id=job.id,
            url=webhook.url,
            body=body,
            attempts=0,
            next_attempt_at=at,
            created_at=at,
        )
    )
