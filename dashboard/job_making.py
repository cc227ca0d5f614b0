"""Makes a job of a request: from recordings that were sent for it, or from those of an earlier job."""

from __future__ import annotations

import time

from sqlalchemy.orm import Session

from core.errors import InvalidRequest
from core.incoming.sources import recordings_of_job, share_recordings
from core.jobs import create_job, job_of_key
from core.ledger.tables import Job, User
from core.specs import InferSpec
from core.watching.tracing import tracer
from dashboard.api.schemas import NewJob, NewJobView
from dashboard.api.views import job_view
from dashboard.end_notes import Listener, listener
from dashboard.services import services


def make_job(user: User, body: NewJob, idempotency_key: str | None) -> NewJobView:
    """Enters the job, or finds the one that the same key made before.

    Raises:
        InvalidRequest: as `create_job`; both items and a source; or an address that cannot be told.
        NotFound: there is no such earlier job for this user.
    """
    if body.source is not None and body.items:
        raise InvalidRequest("A job is made of `items` or of a `source`: give one of the two.")
    here = services()
    settings = here.settings
    told = listener(body.webhook_url)
    began = time.time()
    with here.database.write() as session:
        is_new = job_of_key(session, user.id, idempotency_key) is None
        items = body.items
        if body.source is not None and is_new:
            items = recordings_of_job(session, user, body.source.job, body.source.which)
            share_recordings(session, user, items)
        job = create_job(
            session,
            owner_id=user.id,
            spec=InferSpec(model=body.model, seed=body.seed),
            items=items,
            name=body.name.strip(),
            queue=settings.queue,
            priority=body.priority,
            idempotency_key=idempotency_key,
            max_items=settings.max_items_per_job,
            labels=body.labels,
            rerun_of=body.source.job if body.source else None,
            webhook=(told.url, told.secret) if told is not None else None,
        )
        made = new_job_view(session, job, told if is_new else None)
    if is_new:
        tracer().submitted(made.id, began, kind=made.kind, items=len(items))
    return made


def new_job_view(session: Session, job: Job, told: Listener | None) -> NewJobView:
    """Args:
    told: who is told of the end of a job that was just made; None for one that was there before.
    """
    return NewJobView(**job_view(session, job).model_dump(), webhook_secret=told.secret if told else None)
