"""Dataset versions: the list, the page of one with its report, and the form that asks for a new one."""

from __future__ import annotations

from flask import Blueprint, render_template, request
from sqlalchemy.orm import Session

from core.datasets.layouts import LAYOUTS
from core.datasets.queries import get_dataset, list_datasets
from core.datasets.recipes import SPLITS
from core.errors import NotFound
from core.ledger.tables import Job, ModelVersion, User
from core.queries import get_job, list_models
from dashboard.dataset_reports import read_report
from dashboard.identity import viewer
from dashboard.permissions import may_submit, require_submitter
from dashboard.services import services
from dashboard.words import LAYOUT_WORDS

bp = Blueprint("dataset_pages", __name__)

_AT_ONCE = 25


@bp.get("/datasets")
def index() -> str:
    user = viewer()
    before = request.args.get("before", "")[:40] or None
    with services().database.read() as session:
        found = list_datasets(session, user, limit=_AT_ONCE + 1, before=before)
    shown = found[:_AT_ONCE]
    return render_template(
        "datasets/list.html",
        datasets=shown,
        before=before,
        next=shown[-1].id if len(found) > _AT_ONCE else None,
        may_submit=may_submit(user),
    )


@bp.get("/datasets/new")
def new() -> str:
    require_submitter(viewer())
    settings = services().settings
    with services().database.read() as session:
        models = [model for model, _ in list_models(session)]
    return render_template(
        "datasets/new.html",
        layouts=[(name, LAYOUT_WORDS[name]) for name in LAYOUTS],
        encoders=[model.label for model in models if _encodes_faces(model)],
        max_bytes=settings.max_upload_bytes,
        max_items=settings.max_items_per_job,
    )


@bp.get("/datasets/<label>")
def show(label: str) -> str:
    user = viewer()
    with services().database.read() as session:
        dataset = get_dataset(session, user, label)
        job = _job(session, user, dataset.job_id)
    try:
        report, gone = read_report(services().store, dataset), ""
    except NotFound as error:
        report, gone = None, error.message
    return render_template(
        "datasets/dataset.html",
        dataset=dataset,
        job=job,
        report=report,
        gone=gone,
        splits=SPLITS,
        layout_words=LAYOUT_WORDS,
        size_bytes=sum(file["size_bytes"] for file in dataset.files),
    )


def _job(session: Session, user: User, job_id: str) -> Job | None:
    try:
        return get_job(session, user, job_id)
    except NotFound:
        return None


def _encodes_faces(model: ModelVersion) -> bool:
    return model.config.get("part") == "encoder" and model.config.get("input") == "face"
