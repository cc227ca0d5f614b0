"""The pages of retention: its rules, a dry run of them, and deleting what somebody gave us."""

from __future__ import annotations

from flask import Blueprint, flash, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from core.errors import InvalidRequest, NotFound
from core.keeping.erasure import Erased, erase, preview_erasure
from core.keeping.purging import Purged, purge
from core.keeping.retention import Going, preview
from core.keeping.rules import Kept, list_rules, remove_rule, set_rule
from core.ledger.tables import Job, User
from core.queries import owner_name
from dashboard.api.retention import SECONDS, subject_of
from dashboard.identity import viewer
from dashboard.operating_words import KEPT_WORDS
from dashboard.permissions import may_administer, require_admin, require_operations, require_submitter
from dashboard.security import forget_copies
from dashboard.services import services
from dashboard.translation import phrase

bp = Blueprint("retention_pages", __name__)

_JOBS_SHOWN = 10


@bp.get("/retention")
def index() -> str:
    require_operations(viewer())
    here = services()
    going = preview(here.database, here.store, seconds=SECONDS) if "preview" in request.args else None
    return _page(viewer(), going=going)


@bp.post("/retention")
def change() -> ResponseReturnValue:
    admin = viewer()
    require_admin(admin)
    try:
        with services().database.write() as session:
            set_rule(
                session,
                kind=_kind(),
                scope=request.form.get("scope", "").strip(),
                days=_days(request.form.get("days", "").strip()),
                actor=admin.id,
            )
    except (InvalidRequest, NotFound) as error:
        return _page(admin, refused=error.message), 400
    flash(phrase("The rule holds from the next hourly round on. A dry run says what would go."))
    return redirect(url_for("retention_pages.index"), 303)


@bp.post("/retention/remove")
def remove() -> ResponseReturnValue:
    admin = viewer()
    require_admin(admin)
    with services().database.write() as session:
        remove_rule(session, kind=_kind(), scope=request.form.get("scope", ""), actor=admin.id)
    flash(phrase("The rule is taken back."))
    return redirect(url_for("retention_pages.index"), 303)


@bp.post("/retention/purge")
def purge_now() -> str:
    admin, here = viewer(), services()
    require_admin(admin)
    gone = purge(here.database, here.store, actor=admin.id, seconds=SECONDS)
    return _page(admin, gone=gone)


@bp.get("/erasure")
def ask_erasure() -> str:
    user = viewer()
    subject = subject_of(user, request.args.get("user", "").strip() or None)
    return _erasure_page(subject, preview_erasure(services().database, services().store, subject.id))


@bp.post("/erasure")
def confirm_erasure() -> ResponseReturnValue:
    user, here = viewer(), services()
    require_submitter(user)
    subject = subject_of(user, request.form.get("user", "").strip() or None)
    if request.form.get("confirm", "").strip() != subject.name:
        refused = f"Write {subject.name} into the field: what is deleted does not come back."
        found = preview_erasure(here.database, here.store, subject.id)
        return _erasure_page(subject, found, refused=refused), 400
    found = erase(here.database, here.store, subject.id, actor=user.id, seconds=SECONDS)
    page = _erasure_page(subject, preview_erasure(here.database, here.store, subject.id), done=found)
    return forget_copies(make_response(page))


def _page(
    user: User, *, going: list[Going] | None = None, gone: Purged | None = None, refused: str = ""
) -> str:
    with services().database.read() as session:
        rules = [(rule, owner_name(session, rule.changed_by)) for rule in list_rules(session)]
        shown = {job_id for one in going or () for job_id in one.jobs[:_JOBS_SHOWN]}
        shown |= {rule.scope for rule, _ in rules if rule.scope and "=" not in rule.scope}
        names = {job.id: job.name or job.id for job in (session.get(Job, one) for one in shown) if job}
    return render_template(
        "operating/retention.html",
        rules=rules,
        going=going,
        gone=gone,
        names=names,
        shown=_JOBS_SHOWN,
        refused=refused,
        may=may_administer(user),
        kinds=KEPT_WORDS,
        form=request.form,
    )


def _erasure_page(subject: User, found: Erased, *, done: Erased | None = None, refused: str = "") -> str:
    return render_template(
        "operating/erasure.html",
        subject=subject,
        found=found,
        done=done,
        refused=refused,
        own=subject.id == viewer().id,
        may=may_administer(viewer()),
    )


def _kind() -> Kept:
    try:
        return Kept(request.form.get("kind", ""))
    except ValueError:
        raise InvalidRequest(f"Say what is kept: one of {', '.join(Kept)}.") from None


def _days(text: str) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise InvalidRequest("Days are a whole number; an empty field keeps things for good.")
    return int(text)
