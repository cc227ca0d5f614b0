"""The page that takes recordings. It sends them through the API, or straight into the store, before the job is made."""

from __future__ import annotations

from urllib.parse import urlsplit

from flask import Blueprint, make_response, render_template, request
from flask.typing import ResponseReturnValue

from core.incoming.archives import MOST_ARCHIVE_BYTES
from core.incoming.s3_sources import open_places
from core.job_lists import JobFilter, find_jobs
from core.models.registry import input_of
from core.people.quotas import uses_of
from core.queries import get_job, list_models
from dashboard.identity import viewer
from dashboard.permissions import may_operate, require_submitter
from dashboard.security import policy_with
from dashboard.services import services

bp = Blueprint("new_job", __name__)

_JOBS_SHOWN = 100


@bp.get("/new")
def show() -> ResponseReturnValue:
    user = viewer()
    require_submitter(user)
    settings = services().settings
    earlier = request.args.get("from", "")
    with services().database.read() as session:
        models = list_models(session)
        jobs = list(find_jobs(session, user, JobFilter(kinds=("infer",)), limit=_JOBS_SHOWN).jobs)
        if earlier and earlier not in {job.id for job in jobs}:
            jobs.insert(0, get_job(session, user, earlier))
        uses = [use for use in uses_of(session, user) if use.most is not None]
    drawing = [(model, aliases, input_of(model)) for model, aliases in models if input_of(model) is not None]
    choices = [
        (alias, f"{alias} ({model.label})", kind) for model, aliases, kind in drawing for alias in aliases
    ] + [(model.label, model.label, kind) for model, _, kind in drawing]
    page = make_response(
        render_template(
            "jobs/new.html",
            choices=choices,
            jobs=jobs,
            earlier=earlier,
            uses=uses,
            may_operate=may_operate(user),
            s3_places=[place.url for place in open_places(settings)],
            max_bytes=settings.max_upload_bytes,
            max_archive_bytes=MOST_ARCHIVE_BYTES,
            max_items=settings.max_items_per_job,
            max_seconds=settings.max_recording_seconds,
        )
    )
    if settings.s3_public_url:
        store = urlsplit(settings.s3_public_url)
        page.headers["Content-Security-Policy"] = policy_with(
            "connect-src", f"{store.scheme}://{store.netloc}"
        )
    return page
