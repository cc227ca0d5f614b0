"""Model versions: which there are, their files, and new ones.

A model comes in two steps: each of its files is sent by itself, known by its content from then on, and then the files
are named together. Nothing is a model before the second step, so an upload that breaks off leaves none behind.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from flask import Response, request
from sqlalchemy.orm import Session

from core.errors import InvalidRequest, NotFound, TooLarge
from core.ledger.tables import ModelVersion
from core.models.deletion import delete_model
from core.models.metric_words import metric_title
from core.models.queries import Headline, headlines
from core.models.registry import (
    UploadedFile,
    input_of,
    pair_models,
    register_uploaded_model,
    resolve_model,
    take_in_model_file,
)
from core.queries import aliases_of, list_models
from dashboard.api.blueprint import PREFIX, answer, api_blueprint
from dashboard.api.object_response import object_response
from dashboard.api.registry_schemas import DeleteQuery, DeletionView
from dashboard.api.schemas import (
    HeadlineView,
    ModelDetails,
    ModelFilePath,
    ModelFileSent,
    ModelFileView,
    ModelList,
    ModelPath,
    ModelView,
    NewModel,
    NewPair,
    Problem,
)
from dashboard.identity import viewer
from dashboard.permissions import require_operator
from dashboard.services import services

api = api_blueprint("models", "What draws, and what it is made of.")

_FILE: dict[str | int | HTTPStatus, Any] = {"200": {"content": {"application/octet-stream": {}}}}


@api.get("/models", responses={200: ModelList})
def index() -> Response:
    """Every model version, newest first."""
    with services().database.read() as session:
        models = list_models(session)
        best = headlines(session, [model for model, _ in models])
    data = [ModelView(**_facts(model, aliases, best.get(model.id))) for model, aliases in models]
    return answer(ModelList(data=data))


@api.put("/models/files", responses={201: ModelFileSent, 413: Problem})
def send_file() -> Response:
    """Send one file of a model as the raw body of the request; for operators.

    It belongs to no model until one is made of it.
    """
    require_operator(viewer())
    here = services()
    limit = here.settings.max_model_bytes
    if request.content_length is not None and request.content_length > limit:
        # The body is refused unread, so the connection cannot be used for another request.
        raise TooLarge(f"Files of models may have {limit / 2**30:,.1f} GiB here; this one has more.")
    sha256, size = take_in_model_file(here.store, request.stream, max_bytes=limit)
    return answer(ModelFileSent(sha256=sha256, size_bytes=size), 201)


@api.post("/models", responses={201: ModelDetails})
def create(body: NewModel) -> Response:
    """Make a model version of files that were sent before; for operators. The same files make it once."""
    require_operator(viewer())
    here = services()
    files = [UploadedFile(file.name, file.sha256) for file in body.files]
    model = register_uploaded_model(here.database, here.store, name=body.name, files=files)
    return _answer_with(model.label, 201)


@api.post("/models/pairs", responses={201: ModelDetails})
def create_pair(body: NewPair) -> Response:
    """Put an encoder and a decoder in a row, as one model that draws; for operators. No weights are copied."""
    require_operator(viewer())
    here = services()
    model = pair_models(here.database, here.store, encoder=body.encoder, decoder=body.decoder, name=body.name)
    return _answer_with(model.label, 201)


@api.get("/models/<label>", responses={200: ModelDetails})
def show(path: ModelPath) -> Response:
    """One model version, with its configuration and its files."""
    return _answer_with(path.label)


@api.get("/models/<label>/files/<path:name>", responses=_FILE)
def download(path: ModelFilePath) -> Response:
    """A file of a model version. It answers Range and If-None-Match."""
    with services().database.read() as session:
        model = find_model(session, path.label)
    for file in model.files:
        if file["name"] == path.name:
            return object_response(
                file["key"],
                size=file["size_bytes"],
                sha256=file["sha256"],
                media_type="application/octet-stream",
                file_name=path.name.rpartition("/")[2],
                attachment=True,
            )
    raise NotFound(f"{model.label} has no file {path.name!r}.")


@api.delete("/models/<label>", responses={200: DeletionView, 409: Problem})
def delete(path: ModelPath, query: DeleteQuery) -> Response:
    """Delete one version, given as `name@version`; for operators. What is in use stays."""
    user = viewer()
    require_operator(user)
    here = services()
    found = delete_model(
        here.database,
        here.store,
        path.label,
        actor=user.id,
        bundled=here.settings.model_folder,
        reason=query.reason,
        dry_run=query.dry_run,
    )
    body = DeletionView(
        model=found.label,
        deleted=found.deleted,
        dry_run=query.dry_run,
        in_use=list(found.in_use),
        files=list(found.files),
        shared=list(found.shared),
        freed_bytes=found.freed_bytes,
    )
    return answer(body)


def find_model(session: Session, label: str) -> ModelVersion:
    """The version that an alias, a name or `name@version` stands for.

    Raises:
        NotFound: there is none, or it was deleted.
    """
    try:
        return resolve_model(session, label)
    except InvalidRequest as error:
        raise NotFound(error.message) from error


def _answer_with(label: str, status: int = 200) -> Response:
    with services().database.read() as session:
        model = find_model(session, label)
        aliases = aliases_of(session, model.id)
        best = headlines(session, [model]).get(model.id)
    files = [
        ModelFileView(
            name=file["name"],
            size_bytes=file["size_bytes"],
            sha256=file["sha256"],
            url=f"{PREFIX}/models/{quote(model.label)}/files/{quote(file['name'])}",
        )
        for file in model.files
    ]
    details = ModelDetails(
        **_facts(model, aliases, best), sha256=model.sha256, config=model.config, files=files
    )
    return answer(details, status)


def _facts(model: ModelVersion, aliases: list[str], best: Headline | None) -> dict[str, Any]:
    return {
        "label": model.label,
        "name": model.name,
        "version": model.version,
        "kind": str(model.config.get("kind", "")),
        "input": input_of(model),
        "aliases": aliases,
        "size_bytes": sum(file["size_bytes"] for file in model.files),
        "created_at": model.created_at,
        "job": model.job_id,
        "headline": HeadlineView(
            name=best.name,
            title=metric_title(best.name),
            value=best.metric["value"],
            low=best.metric.get("low"),
            high=best.metric.get("high"),
            dataset=best.dataset,
            split=best.split,
        )
        if best is not None
        else None,
    }
