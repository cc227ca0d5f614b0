"""What people take away: the table of all lines, and the faces so far. All of it streams, while the job runs too."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Any

from flask import Response

from core.faces.exports import Choice, Result, check_items, chosen_results, csv_lines, json_line, results
from core.ledger.tables import Job
from core.names import safe_stem
from core.queries import ItemRow, get_job, model_label
from core.states import ItemState
from dashboard.api.blueprint import api_blueprint, parse_states
from dashboard.api.object_response import disposition
from dashboard.api.paging import every_item
from dashboard.api.result_schemas import FaceSelection, FacesQuery
from dashboard.api.schemas import JobPath
from dashboard.face_archive import face_archive
from dashboard.identity import viewer
from dashboard.parquet import parquet_pieces
from dashboard.services import services

api = api_blueprint("results", "Everything of a job at once.")

_PIECE_CHARACTERS = 64 * 1024
_TEXT: dict[str, Any] = {"schema": {"type": "string"}}
_BYTES: dict[str, Any] = {"schema": {"type": "string", "format": "binary"}}
_PARQUET = "application/vnd.apache.parquet"


@api.get("/jobs/<job_id>/results.csv", responses={"200": {"content": {"text/csv": _TEXT}}})
def as_csv(path: JobPath) -> Response:
    """One line for each item, in the order they were submitted."""
    job, model = _job(path)
    lines = (line for _, line in _lines(job, model, Choice()))
    return _download(_encoded(csv_lines(lines)), "text/csv", f"{safe_stem(job.name)}.csv")


@api.get("/jobs/<job_id>/results.jsonl", responses={"200": {"content": {"application/jsonl": _TEXT}}})
def as_jsonl(path: JobPath) -> Response:
    """The same as JSON lines."""
    job, model = _job(path)
    written = (json_line(line) for _, line in _lines(job, model, Choice()))
    return _download(_encoded(written), "application/jsonl", f"{safe_stem(job.name)}.jsonl")


@api.get("/jobs/<job_id>/results.parquet", responses={"200": {"content": {_PARQUET: _BYTES}}})
def as_parquet(path: JobPath) -> Response:
    """The same as a Parquet file."""
    job, model = _job(path)
    lines = (line for _, line in _lines(job, model, Choice()))
    return _download(parquet_pieces(lines), _PARQUET, f"{safe_stem(job.name)}.parquet")


@api.get("/jobs/<job_id>/errors.jsonl", responses={"200": {"content": {"application/jsonl": _TEXT}}})
def errors(path: JobPath) -> Response:
    """The lines that failed, and why, as JSON lines. Empty where none did."""
    job, model = _job(path)
    failed = Choice(states=(ItemState.FAILED,))
    written = (json_line(line) for _, line in _lines(job, model, failed))
    return _download(_encoded(written), "application/jsonl", f"{safe_stem(job.name)}.errors.jsonl")


@api.get("/jobs/<job_id>/faces.zip", responses={"200": {"content": {"application/zip": _BYTES}}})
def as_zip(path: JobPath, query: FacesQuery) -> Response:
    """Every face so far under the name of its recording, with `results.csv` and `manifest.json`."""
    return zip_of(
        path.job_id, Choice(states=parse_states(ItemState, query.state), favourites=query.favourites)
    )


@api.post("/jobs/<job_id>/faces.zip", responses={"200": {"content": {"application/zip": _BYTES}}})
def selection_as_zip(path: JobPath, body: FaceSelection) -> Response:
    """The same of some items; their faces have the names that they have among all."""
    job, _ = _job(path)
    check_items(services().database, job.id, body.items)
    return zip_of(job.id, Choice(items=body.items))


def zip_of(job_id: str, choice: Choice) -> Response:
    """The archive of chosen items of a job that the viewer may see."""
    job, model = _job(JobPath(job_id=job_id))
    about = {
        "job": job.id,
        "name": job.name,
        "state": job.state.value,
        "model": model,
        "made_of": "all items" if choice.is_all else "some items",
        "created_at": job.created_at.isoformat(),
        "finished_at": job.finished_at.isoformat() if job.finished_at else None,
    }
    pieces = face_archive(services().store, _lines(job, model, choice), about)
    # The first face is fetched before the answer begins, so that a store that is away is told as an error.
    first = next(pieces)
    return _download(chain([first], pieces), "application/zip", f"{safe_stem(job.name)}.zip")


def _job(path: JobPath) -> tuple[Job, str]:
    with services().database.read() as session:
        job = get_job(session, viewer(), path.job_id)
        return job, model_label(session, job.model_version_id)


def _lines(job: Job, model: str, choice: Choice) -> Iterator[tuple[ItemRow, Result]]:
    if choice.is_all:
        return results(every_item(services().database, job.id), model)
    return chosen_results(services().database, job.id, model, choice)


def _encoded(lines: Iterator[str]) -> Iterator[bytes]:
    """Pieces of a size that is worth sending."""
    waiting: list[str] = []
    size = 0
    for line in lines:
        waiting.append(line)
        size += len(line)
        if size >= _PIECE_CHARACTERS:
            yield "".join(waiting).encode()
            waiting, size = [], 0
    if waiting:
        yield "".join(waiting).encode()


def _download(pieces: Iterator[bytes], media_type: str, file_name: str) -> Response:
    response = Response(pieces, mimetype=media_type)
    response.headers["Content-Disposition"] = disposition("attachment", file_name)
    return response
