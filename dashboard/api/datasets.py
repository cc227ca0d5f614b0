"""Datasets: asking for one, which versions there are, and their files."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from flask import Response, url_for
from sqlalchemy.exc import IntegrityError

from core.datasets.plan import Plan
from core.datasets.preparing import create_prepare_job
from core.datasets.queries import get_dataset, list_datasets
from core.datasets.requests import plan_dataset
from core.datasets.specs import NewDataset
from core.errors import NotFound, QuotaExceeded
from core.jobs import job_of_key
from core.ledger.tables import DatasetVersion, User
from dashboard.api.blueprint import answer, api_blueprint
from dashboard.api.dataset_schemas import (
    DatasetDetails,
    DatasetFilePath,
    DatasetFileView,
    DatasetLinks,
    DatasetPage,
    DatasetPath,
    DatasetsQuery,
    DatasetView,
)
from dashboard.api.object_response import object_response
from dashboard.api.schemas import NewJobHeaders, NewJobView
from dashboard.end_notes import listener
from dashboard.identity import viewer
from dashboard.job_making import new_job_view
from dashboard.permissions import require_priority, require_submitter
from dashboard.services import services

api = api_blueprint("datasets", "Recordings and pictures of people, prepared for training.")

_FILE: dict[str | int | HTTPStatus, Any] = {"200": {"content": {"application/octet-stream": {}}}}
# What a browser may show; everything else comes as a download.
_SHOWN = {".json": "application/json", ".png": "image/png"}


@api.post("/datasets", responses={201: NewJobView})
def create(header: NewJobHeaders, body: NewDataset) -> Response:
    """Prepare a dataset of files that were sent before as recordings are; answers the job."""
    user = viewer()
    require_submitter(user)
    require_priority(user, body.priority)
    here = services()
    plan = plan_dataset(
        here.database, here.store, body, owner_id=user.id, max_files=here.settings.max_items_per_job
    )
    try:
        view = _create(user, header, body, plan)
    except (IntegrityError, QuotaExceeded):
        # The same key came twice at once; the other one made the job, and took the room. This one now finds it.
        view = _create(user, header, body, plan)
    return answer(view, 201)


@api.get("/datasets", responses={200: DatasetPage})
def page(query: DatasetsQuery) -> Response:
    """The newest dataset versions you may see."""
    with services().database.read() as session:
        found = list_datasets(session, viewer(), limit=query.limit + 1, before=query.before)
    shown = found[: query.limit]
    body = DatasetPage(
        data=[DatasetView(**_facts(dataset)) for dataset in shown],
        next=shown[-1].id if len(found) > query.limit else None,
    )
    return answer(body)


@api.get("/datasets/<label>", responses={200: DatasetDetails})
def show(path: DatasetPath) -> Response:
    """One dataset version, with its files."""
    with services().database.read() as session:
        dataset = get_dataset(session, viewer(), path.label)
    files = [
        DatasetFileView(
            name=file["name"],
            size_bytes=file["size_bytes"],
            sha256=file["sha256"],
            url=url_for("datasets.download", label=dataset.label, name=file["name"]),
        )
        for file in dataset.files
    ]
    return answer(DatasetDetails(**_facts(dataset), files=files))


@api.get("/datasets/<label>/files/<path:name>", responses=_FILE)
def download(path: DatasetFilePath) -> Response:
    """A file of a dataset version. It answers Range and If-None-Match."""
    with services().database.read() as session:
        dataset = get_dataset(session, viewer(), path.label)
    for file in dataset.files:
        if file["name"] == path.name:
            ending = "." + path.name.rpartition(".")[2]
            return object_response(
                file["key"],
                size=file["size_bytes"],
                sha256=file["sha256"],
                media_type=_SHOWN.get(ending, "application/octet-stream"),
                file_name=path.name.rpartition("/")[2],
                attachment=ending not in _SHOWN,
            )
    raise NotFound(f"{dataset.label} has no file {path.name!r}.")


def _create(user: User, header: NewJobHeaders, body: NewDataset, plan: Plan) -> NewJobView:
    told = listener(body.webhook_url)
    with services().database.write() as session:
        is_new = job_of_key(session, user.id, header.idempotency_key) is None
        job = create_prepare_job(
            session,
            owner_id=user.id,
            dataset=body.name,
            plan=plan,
            queue=services().settings.queue,
            priority=body.priority,
            idempotency_key=header.idempotency_key,
        )
        if told is not None and is_new:
            told.enter(session, job)
        return new_job_view(session, job, told if is_new else None)


def _facts(dataset: DatasetVersion) -> dict[str, Any]:
    return {
        "id": dataset.id,
        "label": dataset.label,
        "name": dataset.name,
        "version": dataset.version,
        "sha256": dataset.sha256,
        "size_bytes": sum(file["size_bytes"] for file in dataset.files),
        "job": dataset.job_id,
        "summary": dataset.summary,
        "created_at": dataset.created_at,
        "links": DatasetLinks(
            self=url_for("datasets.show", label=dataset.label),
            html=url_for("dataset_pages.show", label=dataset.label),
            job=url_for("jobs.show", job_id=dataset.job_id),
        ),
    }
