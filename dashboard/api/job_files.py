"""Files that programs left: curves as CSV, pictures, checkpoints, the trained model, reports."""

from __future__ import annotations

from collections.abc import Iterator
from http import HTTPStatus
from itertools import chain
from typing import Any

from flask import Response, url_for
from zipstream import ZIP_STORED, ZipStream

from core.errors import NotFound
from core.ledger.training_tables import JobFile
from core.names import safe_stem
from core.queries import get_job
from core.store import Store
from core.training.queries import file_of, files_of
from dashboard.api.blueprint import answer, api_blueprint
from dashboard.api.object_response import disposition, object_response
from dashboard.api.schemas import JobPath
from dashboard.api.watching_schemas import JobFileList, JobFilePath, JobFilesQuery, JobFileView
from dashboard.identity import viewer
from dashboard.services import services

api = api_blueprint("job_files", "What programs leave. Files answer Range and If-None-Match.")

_FILE: dict[str | int | HTTPStatus, Any] = {"200": {"content": {"application/octet-stream": {}}}}
# What a browser may show; everything else comes as a download. The report is HTML of ours, but names in it are not,
# so it is shown with nothing allowed but its own pictures and styles.
_SHOWN = frozenset({"image/png", "image/jpeg", "application/json", "text/plain", "text/csv", "text/html"})
_REPORT_POLICY = "sandbox; default-src 'none'; img-src data:; style-src 'unsafe-inline'"


@api.get("/jobs/<job_id>/files", responses={200: JobFileList})
def page(path: JobPath, query: JobFilesQuery) -> Response:
    """What a job left so far, by name."""
    with services().database.read() as session:
        job = get_job(session, viewer(), path.job_id)
        files = files_of(session, job.id, _kinds(query))
    return answer(JobFileList(data=[_view(file) for file in files]))


@api.get("/jobs/<job_id>/files/<path:name>", responses=_FILE)
def download(path: JobFilePath) -> Response:
    """A file of a job. It answers Range and If-None-Match."""
    with services().database.read() as session:
        job = get_job(session, viewer(), path.job_id)
        file = file_of(session, job.id, path.name)
    shown = file.media_type in _SHOWN
    response = object_response(
        file.object_key,
        size=file.size_bytes,
        sha256=file.sha256,
        media_type=file.media_type if shown else "application/octet-stream",
        file_name=file.name.rpartition("/")[2],
        attachment=not shown,
    )
    # A newer file of the same name takes its place, so that a browser has to ask; it is answered with 304.
    response.headers["Cache-Control"] = "private, no-cache"
    if file.media_type == "text/html":
        response.headers["Content-Security-Policy"] = _REPORT_POLICY
    return response


@api.get("/jobs/<job_id>/files.zip", responses={"200": {"content": {"application/zip": {}}}})
def as_zip(path: JobPath, query: JobFilesQuery) -> Response:
    """All files of a job, or those of some kinds, in folders as they are named."""
    with services().database.read() as session:
        job = get_job(session, viewer(), path.job_id)
        files = files_of(session, job.id, _kinds(query))
    if not files:
        raise NotFound("This job has left no such files.")
    pieces = _zip(services().store, [(file.name, file.object_key) for file in files])
    # The first file is fetched before the answer begins, so that a store that is away is told as an error.
    response = Response(chain([next(pieces)], pieces), mimetype="application/zip")
    which = "-".join(word for word in _kinds(query) if word.isalnum())
    name = f"{job.name} {which}" if which else job.name
    response.headers["Content-Disposition"] = disposition("attachment", f"{safe_stem(name)}.zip")
    return response


def _zip(store: Store, files: list[tuple[str, str]]) -> Iterator[bytes]:
    archive = ZipStream(compress_type=ZIP_STORED)  # weights and pictures hardly get smaller
    for name, key in files:
        try:
            archive.add(store.stream(key), name)
        except NotFound:
            continue  # an old checkpoint, deleted since the list was read
        yield from archive.file()
    yield from archive.finalize()


def _kinds(query: JobFilesQuery) -> list[str]:
    return [word.strip() for word in (query.kind or "").split(",") if word.strip()]


def _view(file: JobFile) -> JobFileView:
    return JobFileView(
        name=file.name,
        kind=file.kind,
        step=file.step,
        size_bytes=file.size_bytes,
        sha256=file.sha256,
        media_type=file.media_type,
        created_at=file.created_at,
        url=url_for("job_files.download", job_id=file.job_id, name=file.name),
    )
