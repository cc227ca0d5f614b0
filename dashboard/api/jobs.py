"""Jobs as scripts make, watch and steer them."""

from __future__ import annotations

from collections.abc import Callable

from flask import Response
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from core.errors import QuotaExceeded
from core.job_lists import JobFilter, find_jobs, parse_since
from core.jobs import cancel_job, pause_job, resume_job, retry_job
from core.ledger.tables import Job, User
from core.queries import get_job
from core.states import JobState
from dashboard.api.blueprint import answer, api_blueprint, parse_states
from dashboard.api.schemas import (
    JobPage,
    JobPath,
    JobsQuery,
    JobView,
    NewJob,
    NewJobHeaders,
    NewJobView,
    Problem,
    Retried,
    RetryRequest,
)
from dashboard.api.views import job_view
from dashboard.identity import viewer
from dashboard.job_making import make_job
from dashboard.permissions import require_change, require_priority, require_submitter
from dashboard.services import services

api = api_blueprint("jobs", "What is asked for: many recordings, each with its own end.")


@api.post("/jobs", responses={201: NewJobView})
def create(header: NewJobHeaders, body: NewJob) -> Response:
    """Submit a job over recordings that were sent before, or over those of an earlier job."""
    user = viewer()
    require_submitter(user)
    require_priority(user, body.priority)
    try:
        view = make_job(user, body, header.idempotency_key)
    except (IntegrityError, QuotaExceeded):
        # The same key came twice at once; the other one made the job, and took the room. This one now finds it.
        view = make_job(user, body, header.idempotency_key)
    return answer(view, 201)


@api.get("/jobs", responses={200: JobPage})
def page(query: JobsQuery) -> Response:
    """The jobs you may see, narrowed and sorted."""
    which = JobFilter(
        search=query.q,
        states=tuple(parse_states(JobState, query.state)),
        kinds=tuple(word.strip() for word in (query.kind or "").split(",") if word.strip()),
        owner=query.owner,
        model=query.model,
        label=query.label,
        since=parse_since(query.since),
        sort=query.sort,
    )
    with services().database.read() as session:
        found = find_jobs(session, viewer(), which, limit=query.limit, after=query.before)
        body = JobPage(data=[job_view(session, job) for job in found.jobs], next=found.next)
    return answer(body)


@api.get("/jobs/<job_id>", responses={200: JobView})
def show(path: JobPath) -> Response:
    """One job, with its errors counted by code."""
    with services().database.read() as session:
        return answer(job_view(session, get_job(session, viewer(), path.job_id), with_errors=True))


@api.post("/jobs/<job_id>/cancel", responses={200: JobView, 409: Problem})
def cancel(path: JobPath) -> Response:
    """Stop a job: what waits is cancelled, what is being drawn comes to its end."""
    return answer(_change(path.job_id, lambda session, user: cancel_job(session, path.job_id, actor=user.id)))


@api.post("/jobs/<job_id>/pause", responses={200: JobView, 409: Problem})
def pause(path: JobPath) -> Response:
    """Hold a job: nothing more is begun until it is resumed."""
    return answer(_change(path.job_id, lambda session, user: pause_job(session, path.job_id, actor=user.id)))


@api.post("/jobs/<job_id>/resume", responses={200: JobView, 409: Problem})
def resume(path: JobPath) -> Response:
    """Let a paused job go on."""
    return answer(_change(path.job_id, lambda session, user: resume_job(session, path.job_id, actor=user.id)))


@api.post("/jobs/<job_id>/retry", responses={200: Retried, 409: Problem})
def retry(path: JobPath, body: RetryRequest) -> Response:
    """Put what failed, or was cancelled, back in the queue; faces that exist are left alone."""
    retried = 0

    def change(session: Session, user: User) -> Job:
        nonlocal retried
        retried = retry_job(
            session,
            path.job_id,
            actor=user.id,
            which=body.which,
            item_ids=body.items,
            error_code=body.error_code,
        )
        return get_job(session, user, path.job_id)

    job = _change(path.job_id, change)
    return answer(Retried(retried=retried, job=job))


def _change(job_id: str, change: Callable[[Session, User], Job]) -> JobView:
    user = viewer()
    with services().database.write() as session:
        require_change(user, get_job(session, user, job_id))
        return job_view(session, change(session, user), with_errors=True)
