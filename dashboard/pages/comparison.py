"""Two jobs over the same recordings side by side, a row for each recording; narrowed by its address alone."""

from __future__ import annotations

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from core.comparison import SHOWN, Shown, compare_jobs, find_partners
from core.ledger.tables import Job
from core.queries import get_job, load_companions, model_label
from dashboard.identity import viewer
from dashboard.services import services

bp = Blueprint("comparison_page", __name__)

_ROWS_AT_ONCE = 24


@bp.get("/jobs/<job_id>/compare")
def choose(job_id: str) -> ResponseReturnValue:
    """What the job can be compared with."""
    if other := request.args.get("with", "").strip()[:40]:
        return redirect(url_for("comparison_page.show", job_id=job_id, other_id=other), 303)
    user = viewer()
    with services().database.read() as session:
        job = get_job(session, user, job_id)
        partners = find_partners(session, user, job)
        return render_template(
            "jobs/compare_choose.html", job=job, partners=partners, models=_models(session, [job, *partners])
        )


@bp.get("/jobs/<job_id>/compare/<other_id>")
def show(job_id: str, other_id: str) -> str:
    with services().database.read() as session:
        return render_template("jobs/compare.html", **_page(session, job_id, other_id))


@bp.get("/jobs/<job_id>/compare/<other_id>/rows")
def rows(job_id: str, other_id: str) -> str:
    """The rows alone, from a position on."""
    with services().database.read() as session:
        return render_template("jobs/_compare_rows.html", **_page(session, job_id, other_id))


def _page(session: Session, job_id: str, other_id: str) -> dict[str, object]:
    user = viewer()
    first, second = get_job(session, user, job_id), get_job(session, user, other_id)
    shown: Shown = next((one for one in SHOWN if one == request.args.get("shown")), "common")
    after = request.args.get("after", "")
    found = compare_jobs(
        session,
        first,
        second,
        after=int(after) if after.isascii() and after.isdigit() and len(after) < 10 else -1,
        limit=_ROWS_AT_ONCE,
        shown=shown,
    )
    return {
        "first": first,
        "second": second,
        "models": _models(session, [first, second]),
        "pairs": found.pairs,
        "next": found.next,
        "shown": shown,
        "begun": bool(after),
    }


def _models(session: Session, jobs: list[Job]) -> dict[str, str]:
    held = load_companions(session, jobs)
    labels = {job.id: model_label(session, job.model_version_id) for job in jobs}
    del held
    return labels
