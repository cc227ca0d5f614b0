"""The page that takes recordings. It sends them through the API, one by one, before the job is made."""

from __future__ import annotations

from flask import Blueprint, render_template

from core.queries import list_models
from core.registry import input_of
from dashboard.identity import viewer
from dashboard.permissions import require_submitter
from dashboard.services import services

bp = Blueprint("new_job", __name__)


@bp.get("/new")
def show() -> str:
    require_submitter(viewer())
    settings = services().settings
    with services().database.read() as session:
        models = list_models(session)
    drawing = [(model, aliases, input_of(model)) for model, aliases in models if input_of(model) is not None]
    choices = [
        (alias, f"{alias} ({model.label})", kind) for model, aliases, kind in drawing for alias in aliases
    ] + [(model.label, model.label, kind) for model, _, kind in drawing]
    return render_template(
        "jobs/new.html",
        choices=choices,
        max_bytes=settings.max_upload_bytes,
        max_items=settings.max_items_per_job,
        max_seconds=settings.max_recording_seconds,
    )
