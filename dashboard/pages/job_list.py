"""The list of jobs, newest first."""

from __future__ import annotations

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from core.dataset_queries import dataset_label
from core.queries import list_jobs, model_label
from core.specs import PROGRAM_KINDS
from core.states import JOB_FINAL
from core.tables import Job
from dashboard.identity import viewer
from dashboard.permissions import may_submit
from dashboard.services import services

bp = Blueprint("job_list", __name__)

_AT_ONCE = 25


@bp.get("/")
def home() -> ResponseReturnValue:
    return redirect(url_for("job_list.show"), 302)


@bp.get("/jobs")
def show() -> str:
    return render_template("jobs/list.html", **_page())


@bp.get("/jobs/rows")
def rows() -> str:
    """The table alone: a page asks for it again while something in it moves."""
    return render_template("jobs/_rows.html", **_page())


def _page() -> dict[str, object]:
    user = viewer()
    before = request.args.get("before", "")[:40] or None
    with services().database.read() as session:
        jobs = list_jobs(session, user, limit=_AT_ONCE + 1, before=before)
        shown = jobs[:_AT_ONCE]
        labels = {job.id: _label(session, job) for job in shown}
    return {
        "jobs": shown,
        "labels": labels,
        "before": before,
        "next": shown[-1].id if len(jobs) > _AT_ONCE else None,
        "live": any(job.state not in JOB_FINAL for job in shown),
        "may_submit": may_submit(user),
    }


def _label(session: Session, job: Job) -> str:
    """What draws, what is prepared, or what is trained or measured on which dataset."""
    if job.kind in PROGRAM_KINDS:
        return f"{job.spec['model']} on {job.spec['dataset']}"
    dataset = dataset_label(session, job)
    return f"dataset {dataset}" if dataset else model_label(session, job.model_version_id)
