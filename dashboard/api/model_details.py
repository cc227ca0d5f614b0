"""What there is to know of a model version besides its files, and the whole of it as an archive."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

from flask import Response
from zipstream import ZIP_STORED, ZipStream

from core.errors import NotFound, StorageUnavailable
from core.ledger.tables import DatasetVersion, ModelVersion
from core.models.comparison import ComparedMetric, compare_versions
from core.models.evaluations import evaluations_of
from core.models.metric_words import metric_title
from core.models.queries import children_of, labels_of
from core.store import Store
from dashboard.api.blueprint import answer, api_blueprint
from dashboard.api.models import find_model
from dashboard.api.object_response import disposition
from dashboard.api.registry_schemas import (
    ComparedEvaluationsView,
    ComparedMetricView,
    ComparisonView,
    EvaluationOfModel,
    EvaluationsOfModel,
    LineageView,
    OtherModelPath,
    RelatedModel,
)
from dashboard.api.schemas import ModelPath
from dashboard.services import services

api = api_blueprint("model_details", "Where models come from, how they fared, and all of one at once.")

_ZIP: dict[str | int | HTTPStatus, Any] = {"200": {"content": {"application/zip": {}}}}


@api.get("/models/<label>/lineage", responses={200: LineageView})
def lineage(path: ModelPath) -> Response:
    """What a version was made from, by which code, and what was made from it."""
    with services().database.read() as session:
        model = find_model(session, path.label)
        parent = session.get(ModelVersion, model.parent_id) if model.parent_id is not None else None
        dataset = (
            session.get(DatasetVersion, model.dataset_version_id)
            if model.dataset_version_id is not None
            else None
        )
        body = LineageView(
            model=model.label,
            job=model.job_id,
            dataset=dataset.label if dataset is not None else None,
            parent=_related(parent) if parent is not None else None,
            children=[_related(child) for child in children_of(session, model)],
            facts=model.lineage,
        )
    return answer(body)


@api.get("/models/<label>/evaluations", responses={200: EvaluationsOfModel})
def evaluations(path: ModelPath) -> Response:
    """How a version fared, newest first."""
    with services().database.read() as session:
        found = evaluations_of(session, find_model(session, path.label))
        partners = labels_of(session, (evaluation.partner_version_id for evaluation, _ in found))
    data = [
        EvaluationOfModel(
            id=evaluation.id,
            dataset=dataset.label,
            dataset_sha256=dataset.sha256,
            split=evaluation.split,
            partner=partners.get(evaluation.partner_version_id or ""),
            job=evaluation.job_id,
            conditions_sha256=evaluation.spec_sha256,
            metrics=evaluation.metrics,
            created_at=evaluation.created_at,
        )
        for evaluation, dataset in found
    ]
    return answer(EvaluationsOfModel(data=data))


@api.get("/models/<label>/comparison/<other>", responses={200: ComparisonView})
def comparison(path: OtherModelPath) -> Response:
    """Two versions beside each other, metric by metric."""
    with services().database.read() as session:
        first, second = find_model(session, path.label), find_model(session, path.other)
        compared = compare_versions(session, first, second)
    data = [
        ComparedEvaluationsView(
            dataset=one.dataset.label,
            split=one.first.split,
            evaluations=(one.first.id, one.second.id),
            metrics=[_metric_view(metric) for metric in one.metrics],
        )
        for one in compared
    ]
    return answer(ComparisonView(first=first.label, second=second.label, data=data))


@api.get("/models/<label>/export", responses=_ZIP)
def export(path: ModelPath) -> Response:
    """A version as a ZIP of the folder that `voicesketch draw --model` takes."""
    with services().database.read() as session:
        model = find_model(session, path.label)
    store = services().store
    # Looked for before the answer begins: an archive that breaks off tells nobody why.
    if gone := [file["name"] for file in model.files if not store.exists(file["key"])]:
        raise NotFound(f"{gone[0]} of {model.label} is no longer in the object store.")
    folder = f"{model.name}-{model.version}"
    archive = ZipStream(compress_type=ZIP_STORED, sized=True)  # weights hardly get smaller
    for file in model.files:
        archive.add(_checked(store, model, file), f"{folder}/{file['name']}", size=file["size_bytes"])
    response = Response(iter(archive), mimetype="application/zip")
    response.content_length = len(archive)
    response.headers["Content-Disposition"] = disposition("attachment", f"{folder}.zip")
    return response


def _checked(store: Store, model: ModelVersion, file: dict[str, Any]) -> Iterator[bytes]:
    digest = hashlib.sha256()
    for piece in store.stream(file["key"]):
        digest.update(piece)
        yield piece
    if digest.hexdigest() != file["sha256"]:
        # The answer breaks off, so that nobody takes the archive for whole.
        raise StorageUnavailable(f"{file['name']} of {model.label} is damaged in the object store.")


def _related(model: ModelVersion) -> RelatedModel:
    return RelatedModel(label=model.label, deleted=model.deleted_at is not None)


def _metric_view(metric: ComparedMetric) -> ComparedMetricView:
    found = metric.difference
    return ComparedMetricView(
        name=metric.name,
        title=metric_title(metric.name),
        first=dict(metric.first) if metric.first is not None else None,
        second=dict(metric.second) if metric.second is not None else None,
        better=metric.better,
        difference=found.value if found is not None else None,
        low=found.low if found is not None else None,
        high=found.high if found is not None else None,
        certain=metric.certain,
    )
