"""Notes about the end of a job: where they are to go, as a request says, and how they fared, as pages show it."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from sqlalchemy.orm import Session

from core.ledger.schedule_tables import JobWebhook, WebhookDelivery
from core.ledger.tables import Job
from core.webhook_sending import check_url
from core.webhooks import new_secret, notes_of_job
from dashboard.services import services


@dataclass(frozen=True)
class Listener:
    """Who is told of the end of a job, and the secret that signs the note."""

    url: str
    secret: str

    def enter(self, session: Session, job: Job) -> None:
        """For a job that was made in this transaction."""
        session.add(JobWebhook(job_id=job.id, url=self.url, secret=self.secret))


def listener(url: str | None) -> Listener | None:
    """None where nobody asked to be told.

    Raises:
        InvalidRequest: nothing is ever sent to such an address.
    """
    if not url:
        return None
    check_url(url, private=services().settings.webhooks_to_private)
    return Listener(url, new_secret())


def told_of_end(session: Session, job: Job) -> tuple[str, list[WebhookDelivery]] | None:
    """The host that is told of the end of a job, and the notes that went there."""
    url, notes = notes_of_job(session, job.id)
    # Not the whole address: what comes behind the host is often a secret.
    return (urlsplit(url).hostname or url, notes) if url else None
