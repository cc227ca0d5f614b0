"""The pages of storage and health, for operators."""

from __future__ import annotations

from flask import Blueprint, render_template

from core.keeping.storage_use import storage_use
from core.watching.health import check_health
from dashboard.identity import viewer
from dashboard.operating_words import HEALTH_WORDS
from dashboard.permissions import require_operations
from dashboard.services import services
from dashboard.translation import Said

bp = Blueprint("storage_and_health_pages", __name__)

CHIPS = {"ok": "completed", "warning": "queued", "failed": "failed"}


@bp.get("/storage")
def storage() -> str:
    require_operations(viewer())
    return render_template("operating/storage.html", use=storage_use(services().database))


@bp.get("/health")
def health() -> str:
    require_operations(viewer())
    here = services()
    found = check_health(here.settings, here.database, here.store)
    return render_template("operating/health.html", health=found, chips=CHIPS, words=Said(HEALTH_WORDS))
