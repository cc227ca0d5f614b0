"""One job: its summary, its gallery, and the buttons that steer it.

The summary and the tiles are also served alone. A page listens to the events of the API and asks for the pieces that
changed, so that what is shown is made by one template, on the first view and on every later one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from flask import Blueprint, Response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from core.costs import cost_of, prices_of
from core.datasets.queries import dataset_of
from core.errors import Conflict, InvalidRequest, NotFound, QuotaExceeded
from core.jobs import cancel_job, pause_job, resume_job, retry_job, set_priority
from core.ledger.tables import Job, User
from core.models.registry import input_of
from core.people.quotas import refusal_of
from core.queries import (
    errors_by_code,
    eta_seconds,
    get_job,
    items_by_id,
    job_input,
    last_transition_id,
    list_models,
    model_label,
)
from core.reruns import RERUN_KINDS, Wanted, plan_rerun, rerun_job
from core.specs import PROGRAM_KINDS
from core.states import JOB_CLAIMABLE, JOB_FINAL, JOB_RETRYABLE, JobState
from core.throughput import timeline
from core.training.jobs import run_again
from dashboard import gallery
from dashboard.end_notes import told_of_end
from dashboard.identity import viewer
from dashboard.pages import program_page
from dashboard.permissions import (
    may_change,
    may_change_models,
    may_submit,
    require_change,
    require_priority,
    require_submitter,
    require_trainer,
)
from dashboard.services import services

bp = Blueprint("job_page", __name__)

_MOST_TILES_BY_ID = 200
_MOST_CHOSEN = 10_000


@bp.get("/jobs/<job_id>")
def show(job_id: str) -> str:
    with services().database.read() as session:
        job = get_job(session, viewer(), job_id)
        if job.kind in PROGRAM_KINDS:
            return render_template("programs/program.html", **program_page.whole(session, job))
        shown = gallery.whole(session, job, gallery.asked_view())
        return render_template("jobs/job.html", **_summary(session, job) | shown)


@bp.get("/jobs/<job_id>/summary")
def summary(job_id: str) -> str:
    with services().database.read() as session:
        return _render_summary(session, get_job(session, viewer(), job_id))


@bp.get("/jobs/<job_id>/tiles")
def tiles(job_id: str) -> str:
    """The tiles behind a position, or those of the items whose ids are given."""
    words = request.args.get("ids", "").split(",")
    ids = [int(word) for word in words if word.isascii() and word.isdigit() and len(word) < 19]
    with services().database.read() as session:
        job = get_job(session, viewer(), job_id)
        if "ids" in request.args:
            found = items_by_id(session, job.id, ids[:_MOST_TILES_BY_ID])
            if not found:
                return ""  # none of them is one of this job's: there is nothing to replace
            return render_template(_template(job), replacing=True, **gallery.some(session, job, found))
        return render_template(_template(job), **gallery.block(session, job, gallery.asked_view()))


@bp.post("/jobs/<job_id>/<any(cancel,pause,resume,retry,priority):action>")
def change(job_id: str, action: str) -> ResponseReturnValue:
    user = viewer()
    changes: dict[str, Callable[[Session], object]] = {
        "cancel": lambda session: cancel_job(session, job_id, actor=user.id),
        "pause": lambda session: pause_job(session, job_id, actor=user.id),
        "resume": lambda session: resume_job(session, job_id, actor=user.id),
        "retry": lambda session: retry_job(
            session, job_id, actor=user.id, which=_which(), error_code=_error_code()
        ),
        "priority": lambda session: set_priority(session, job_id, _priority(user), actor=user.id),
    }
    refused = None
    try:
        with services().database.write() as session:
            require_change(user, get_job(session, user, job_id))
            changes[action](session)
    except (Conflict, QuotaExceeded) as error:
        # Somebody else, or the last face, was quicker: what is shown next says how things stand.
        if "HX-Request" not in request.headers:
            raise
        refused = error.message
    if "HX-Request" not in request.headers:
        return redirect(url_for("job_page.show", job_id=job_id), 303)
    with services().database.read() as session:
        return _render_summary(session, get_job(session, user, job_id), refused)


@bp.post("/jobs/<job_id>/again")
def again(job_id: str) -> ResponseReturnValue:
    """A new job with the same settings, from scratch."""
    user = viewer()
    with services().database.write() as session:
        get_job(session, user, job_id)
        require_trainer(user)
        made = run_again(session, job_id, owner_id=user.id)
    return redirect(url_for("job_page.show", job_id=made.id), 303)


@bp.post("/jobs/<job_id>/rerun")
def rerun(job_id: str) -> ResponseReturnValue:
    """Says how many recordings would be run again, or makes the job that does."""
    user = viewer()
    require_submitter(user)
    here = services()
    model = request.form.get("model", "")[:160]
    wanted = _rerun_wanted()
    try:
        if "dry" in request.form:
            with here.database.read() as session:
                plan = plan_rerun(session, user, job_id, model=model, wanted=wanted)
                over = refusal_of(session, user, items=plan.items)
            return render_template("jobs/_rerun_plan.html", plan=plan, refused=over.message if over else None)
        with here.database.write() as session:
            most = here.settings.max_items_per_job
            made = rerun_job(session, user, job_id, model=model, wanted=wanted, max_items=most).id
    except (InvalidRequest, QuotaExceeded) as error:
        if "HX-Request" in request.headers:
            return render_template("jobs/_rerun_plan.html", plan=None, refused=error.message)
        raise
    address = url_for("job_page.show", job_id=made)
    if "HX-Request" in request.headers:
        return Response(headers={"HX-Redirect": address})
    return redirect(address, 303)


def _render_summary(session: Session, job: Job, refused: str | None = None) -> str:
    if job.kind in PROGRAM_KINDS:
        shown = {**program_page.summary(session, job), "refused": refused}
        return render_template("programs/_summary.html", **shown) + render_template(
            "programs/_outcome.html", replacing=True, **shown
        )
    return render_template(
        "jobs/_summary.html", shown=gallery.asked_view().shown, refused=refused, **_summary(session, job)
    )


def _summary(session: Session, job: Job) -> dict[str, object]:
    state = job.state
    mine = may_change(viewer(), job)
    return {
        "job": job,
        "model": model_label(session, job.model_version_id),
        "preparing": job.kind == "prepare",
        "made": dataset_of(session, job) if job.kind == "prepare" else None,
        "eta": eta_seconds(job),
        "cost": cost_of(session, job, prices_of(services().settings)),
        "errors": errors_by_code(session, job.id) if job.failed else [],
        "seen": last_transition_id(session, job.id),
        "final": state in JOB_FINAL,
        "faces": job.done + job.cached,
        "moves": timeline(session, job.id),
        "webhook": told_of_end(session, job),
        "rerun_of": _rerun_of(session, job),
        "rerun_models": _rerun_models(session, job) if may_submit(viewer()) else [],
        "is_operator": may_change_models(viewer()),
        "can": {
            "priority": mine and state not in JOB_FINAL,
            "retry_unfinished": mine and state in JOB_RETRYABLE and job.failed > 0 and job.cancelled > 0,
            "pause": mine and state in JOB_CLAIMABLE,
            "resume": mine and state is JobState.PAUSED,
            "cancel": mine and state not in JOB_FINAL and state is not JobState.CANCELLING,
            "retry_failed": mine and state in JOB_RETRYABLE and job.failed > 0,
            "retry_cancelled": mine and state in JOB_RETRYABLE and job.cancelled > 0,
        },
    }


def _rerun_of(session: Session, job: Job) -> Job | None:
    """The job whose recordings this one took over, where the viewer may see it."""
    try:
        return get_job(session, viewer(), job.rerun_of) if job.rerun_of else None
    except NotFound:
        return None


def _rerun_models(session: Session, job: Job) -> list[str]:
    """What can draw from the recordings of the job, newest first."""
    drawn_from = job_input(session, job)
    if drawn_from is None:
        return []
    return [model.label for model, _ in list_models(session) if input_of(model) == drawn_from]


def _template(job: Job) -> str:
    """How the items of a job look."""
    return "jobs/_steps.html" if job.kind == "prepare" else "jobs/_tiles.html"


def _which() -> Literal["failed", "cancelled", "unfinished"]:
    match request.form.get("which", "failed"):
        case "failed":
            return "failed"
        case "cancelled":
            return "cancelled"
        case "unfinished":
            return "unfinished"
    raise InvalidRequest("Nothing of that kind can be retried.")


def _rerun_wanted() -> Wanted:
    """`missing`, `failed` or `all`; what failed of one reason, as `code:` and the code; or what was chosen."""
    if chosen := request.form.get("chosen", ""):
        return Wanted("all", items=gallery.chosen_ids(chosen, _MOST_CHOSEN))
    of = request.form.get("of", "")
    if of.startswith("code:"):
        return Wanted("failed", error_code=of.removeprefix("code:")[:40])
    return Wanted(next((one for one in RERUN_KINDS if one == of), "missing"))


def _error_code() -> str | None:
    return request.form.get("error_code", "")[:40] or None


def _priority(user: User) -> int:
    given = request.form.get("priority", "")
    try:
        priority = int(given[:5])
    except ValueError as error:
        raise InvalidRequest("A priority is a whole number from -100 to 100.") from error
    if not -100 <= priority <= 100:
        raise InvalidRequest("A priority is a whole number from -100 to 100.")
    require_priority(user, priority)
    return priority
