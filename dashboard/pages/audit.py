"""Who changed what others rely on, newest first; for operators and admins."""

from __future__ import annotations

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue

from core.models.queries import actor_names
from core.people.audit import list_entries
from dashboard.identity import viewer
from dashboard.permissions import require_audit
from dashboard.services import services

bp = Blueprint("audit_page", __name__)

_AT_ONCE = 100


@bp.get("/audit")
def index() -> ResponseReturnValue:
    require_audit(viewer())
    subject = request.args.get("subject", "").strip()[:160]
    before = request.args.get("before", type=int)
    if before is not None and not 0 < before < 2**63:
        before = None
    with services().database.read() as session:
        found = list_entries(session, limit=_AT_ONCE + 1, before=before, subject=subject or None)
        shown = found[:_AT_ONCE]
        names = actor_names(session, (entry.actor for entry in shown))
    return render_template(
        "audit/list.html",
        entries=shown,
        names=names,
        subject=subject,
        next=shown[-1].id if len(found) > _AT_ONCE else None,
    )
