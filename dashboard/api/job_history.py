"""How a job went, when it has its turn, and running its recordings again."""

from __future__ import annotations

from dataclasses import asdict

from flask import Response

from core.jobs import set_priority
from core.people.quotas import refusal_of
from core.queries import get_job
from core.reruns import Wanted, plan_rerun, rerun_job
from core.throughput import throughput, timeline
from dashboard.api.blueprint import answer, api_blueprint
from dashboard.api.job_schemas import (
    JobMoveView,
    NewPriority,
    RerunRequest,
    RerunView,
    ThroughputView,
    TimelineView,
)
from dashboard.api.schemas import JobPath, JobView, NewJobHeaders, Problem
from dashboard.api.views import job_view
from dashboard.identity import viewer
from dashboard.permissions import require_change, require_priority, require_submitter
from dashboard.services import services
from dashboard.translation import said

api = api_blueprint("job_history", "How a job went, and running it again.")


@api.get("/jobs/<job_id>/timeline", responses={200: TimelineView})
def moves(path: JobPath) -> Response:
    """The moves of the job itself, oldest first."""
    with services().database.read() as session:
        found = timeline(session, get_job(session, viewer(), path.job_id).id)
    return answer(TimelineView(data=[JobMoveView(**asdict(move)) for move in found]))


@api.get("/jobs/<job_id>/throughput", responses={200: ThroughputView})
def pace(path: JobPath) -> Response:
    """Items brought to an end over time, in at most 60 steps."""
    with services().database.read() as session:
        found = throughput(session, get_job(session, viewer(), path.job_id))
    return answer(ThroughputView(**asdict(found)))


@api.post("/jobs/<job_id>/priority", responses={200: JobView, 409: Problem})
def priority(path: JobPath, body: NewPriority) -> Response:
    """Change when the job has its turn."""
    user = viewer()
    require_priority(user, body.priority)
    with services().database.write() as session:
        require_change(user, get_job(session, user, path.job_id))
        return answer(job_view(session, set_priority(session, path.job_id, body.priority, actor=user.id)))


@api.post("/jobs/<job_id>/rerun", responses={200: RerunView, 201: RerunView})
def again(path: JobPath, header: NewJobHeaders, body: RerunRequest) -> Response:
    """Make a new job over recordings of this one, with the model of your choice; or say what it would come to."""
    user = viewer()
    if not body.dry_run:
        require_submitter(user)
    here = services()
    wanted = Wanted(body.which, body.items, body.error_code)
    if body.dry_run:
        with here.database.read() as session:
            plan = plan_rerun(session, user, path.job_id, model=body.model, wanted=wanted)
            refused = refusal_of(session, user, items=plan.items)
        return answer(RerunView(**asdict(plan), job=None, refused=said(refused.message) if refused else None))
    with here.database.write() as session:
        plan = plan_rerun(session, user, path.job_id, model=body.model, wanted=wanted)
        made = rerun_job(
            session,
            user,
            path.job_id,
            model=body.model,
            wanted=wanted,
            name=body.name.strip(),
            idempotency_key=header.idempotency_key,
            max_items=here.settings.max_items_per_job,
        )
        return answer(RerunView(**asdict(plan), job=made.id), 201)
