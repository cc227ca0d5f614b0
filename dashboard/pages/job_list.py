"""The list of jobs: searched, narrowed and sorted by its address alone, so that a view of it can be sent to others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from urllib.parse import parse_qsl, urlencode

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import select
from sqlalchemy.orm import Session

from core.datasets.queries import dataset_label
from core.errors import InvalidRequest
from core.job_lists import SORTS, JobFilter, Sort, find_jobs, parse_since
from core.ledger.tables import Job, ModelVersion, User
from core.people.accounts import Role
from core.queries import model_label
from core.specs import PROGRAM_KINDS
from core.states import JOB_FINAL, JobState
from core.watching.news import read_marks
from dashboard.identity import viewer
from dashboard.job_steering import ACTIONS, Action, Outcome, steer
from dashboard.permissions import may_change, may_submit, require_submitter
from dashboard.services import services
from dashboard.translation import said
from dashboard.words import JOB_KIND_WORDS, JOB_SORT_WORDS, JOB_STATE_CHOICES, WHAT_WORDS

bp = Blueprint("job_list", __name__)

_SIZES = (25, 50, 100)

_FIELDS = ("q", "state", "kind", "owner", "model", "label", "since", "sort", "size")


@bp.get("/")
def home() -> ResponseReturnValue:
    return redirect(url_for("job_list.show"), 302)


@bp.get("/jobs")
def show() -> str:
    with services().database.read() as session:
        page = _page(session)
        return render_template("jobs/list.html", **page, **_choices(session))


@bp.get("/jobs/rows")
def rows() -> str:
    """The table alone: a page asks for it again when something in it moved."""
    with services().database.read() as session:
        return render_template("jobs/_rows.html", **_page(session))


@bp.post("/jobs/steer")
def many() -> ResponseReturnValue:
    """The same change of all chosen jobs; then the list as it was, with what became of them."""
    user = viewer()
    require_submitter(user)
    query = dict(parse_qsl(request.form.get("query", "")[:2000].lstrip("?")))
    action = next((one for one in ACTIONS if one == request.form.get("action")), None)
    if action is None:
        raise InvalidRequest("Say what to do with these jobs.")
    chosen, label = request.form.getlist("job")[:1000], request.form.get("label", "")[:600]
    try:
        told = _told(action, steer(user, chosen, action, label))
    except InvalidRequest as error:
        told = {"wrong": error.message}
    with services().database.read() as session:
        page = _page(session, query)
        if "HX-Request" in request.headers:
            return render_template("jobs/_rows.html", told=told, **page)
        return render_template("jobs/list.html", told=told, **page, **_choices(session))


def _told(action: Action, outcomes: Sequence[Outcome]) -> dict[str, object]:
    """What became of them: how many were changed, and each reason once."""
    reasons = Counter(one.refused.message for one in outcomes if one.refused is not None)
    return {
        "action": action,
        "changed": sum(one.job is not None for one in outcomes),
        "refused": [(count, reason) for reason, count in reasons.most_common(5)],
    }


def _page(session: Session, asked: Mapping[str, str] | None = None) -> dict[str, object]:
    """Args:
    asked: the fields of an address, where they are not those of the request's own.
    """
    user = viewer()
    asked = request.args if asked is None else asked
    given = {name: value for name in _FIELDS if (value := asked.get(name, "").strip()[:200])}
    before = asked.get("before", "")[:600] or None
    wrong = None
    try:
        which = _filter(given)
        seen = read_marks(session).transition
        found = find_jobs(session, user, which, limit=_size(given), after=before)
    except InvalidRequest as error:
        # An address that somebody typed or cut short: the plain list, and what is wrong with it.
        wrong, given, before, seen = error.message, {}, None, 0
        found = find_jobs(session, user, JobFilter(), limit=_SIZES[0])
    return {
        "jobs": found.jobs,
        "labels": {job.id: _label(session, job) for job in found.jobs},
        "owners": _owners(session, user, found.jobs),
        "before": before,
        "next": found.next,
        "given": given,
        "narrowed": bool(set(given) - {"sort", "size"}),
        "wrong": wrong,
        "seen": seen,
        "live": any(job.state not in JOB_FINAL for job in found.jobs),
        "may_submit": may_submit(user),
        "mine": {job.id for job in found.jobs if may_change(user, job)},
        "query": urlencode({**given, **({"before": before} if before else {})}),
    }


def _filter(given: dict[str, str]) -> JobFilter:
    sort: Sort = next((one for one in SORTS if one == given.get("sort")), "newest")
    try:
        states = tuple(JobState(word) for word in given.get("state", "").split(",") if word)
    except ValueError as error:
        raise InvalidRequest("This address asks for a state that jobs do not have.") from error
    return JobFilter(
        search=given.get("q", ""),
        states=states,
        kinds=tuple(word for word in given.get("kind", "").split(",") if word),
        owner=given.get("owner", ""),
        model=given.get("model", ""),
        label=given.get("label", ""),
        since=parse_since(given.get("since", "")),
        sort=sort,
    )


def _size(given: dict[str, str]) -> int:
    return next((size for size in _SIZES if str(size) == given.get("size")), _SIZES[0])


def _choices(session: Session) -> dict[str, object]:
    """What the filters offer; only those who see everybody's jobs choose between people."""
    user = viewer()
    models = session.execute(
        select(ModelVersion.name, ModelVersion.version).where(
            ModelVersion.id.in_(select(Job.model_version_id).distinct())
        )
    )
    sees_all = user.role != Role.SUBMITTER.value
    people = select(User.name).where(User.id.in_(select(Job.owner_id).distinct())).order_by(User.name)
    return {
        "state_choices": [(",".join(states), words) for states, words in JOB_STATE_CHOICES.items()],
        "kind_choices": list(JOB_KIND_WORDS.items()),
        "sort_choices": [(sort, JOB_SORT_WORDS[sort]) for sort in SORTS],
        "size_choices": _SIZES,
        "model_choices": [f"{name}@{version}" for name, version in sorted(models, reverse=True)],
        "owner_choices": session.scalars(people).all() if sees_all else [],
    }


def _owners(session: Session, user: User, jobs: Sequence[Job]) -> dict[str, str]:
    """Names by id, for those to whom it says something."""
    if user.role == Role.SUBMITTER.value:
        return {}
    ids = {job.owner_id for job in jobs}
    return {one.id: one.name for one in session.scalars(select(User).where(User.id.in_(ids)))}


def _label(session: Session, job: Job) -> str:
    """What draws, what is prepared, or what is trained or measured on which dataset."""
    if job.kind in PROGRAM_KINDS:
        return said(WHAT_WORDS["measure"]) % {"model": job.spec["model"], "dataset": job.spec["dataset"]}
    dataset = dataset_label(session, job)
    if dataset:
        return said(WHAT_WORDS["prepare"]) % {"dataset": dataset}
    return model_label(session, job.model_version_id)
