"""What people take away: the table of all lines, and the faces so far. All of it streams, while the job runs too."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from itertools import chain

from flask import Response
from zipstream import ZIP_STORED, ZipStream

from core.database import Database
from core.errors import NotFound
from core.exports import Result, csv_lines, results
from core.names import safe_stem
from core.queries import get_job, model_label
from core.store import Store
from core.tables import Job
from dashboard.api.blueprint import api_blueprint
from dashboard.api.object_response import disposition
from dashboard.api.paging import every_item
from dashboard.api.schemas import JobPath
from dashboard.identity import viewer
from dashboard.services import services

api = api_blueprint("results", "Everything of a job at once.")

_PIECE_CHARACTERS = 64 * 1024
_READ_AT_ONCE = 256 * 1024
_TABLE_IN_MEMORY = 4 * 2**20


@api.get("/jobs/<job_id>/results.csv", responses={"200": {"content": {"text/csv": {}}}})
def as_csv(path: JobPath) -> Response:
    """One line for each item, in the order they were submitted."""
    job, model = _job(path)
    lines = (line for _, line in results(every_item(services().database, job.id), model))
    return _download(_encoded(csv_lines(lines)), "text/csv", f"{safe_stem(job.name)}.csv")


@api.get("/jobs/<job_id>/results.jsonl", responses={"200": {"content": {"application/jsonl": {}}}})
def as_jsonl(path: JobPath) -> Response:
    """The same as JSON lines."""
    job, model = _job(path)
    lines = (line for _, line in results(every_item(services().database, job.id), model))
    written = (json.dumps(asdict(line), ensure_ascii=False) + "\n" for line in lines)
    return _download(_encoded(written), "application/jsonl", f"{safe_stem(job.name)}.jsonl")


@api.get("/jobs/<job_id>/faces.zip", responses={"200": {"content": {"application/zip": {}}}})
def as_zip(path: JobPath) -> Response:
    """Every face so far under the name of its recording, with `results.csv`."""
    job, model = _job(path)
    pieces = _zip(services().database, services().store, job.id, model)
    # The first face is fetched before the answer begins, so that a store that is away is told as an error.
    first = next(pieces)
    return _download(chain([first], pieces), "application/zip", f"{safe_stem(job.name)}.zip")


def _job(path: JobPath) -> tuple[Job, str]:
    with services().database.read() as session:
        job = get_job(session, viewer(), path.job_id)
        return job, model_label(session, job.model_version_id)


def _zip(database: Database, store: Store, job_id: str, model: str) -> Iterator[bytes]:
    archive = ZipStream(compress_type=ZIP_STORED)  # pictures are compressed already
    with tempfile.SpooledTemporaryFile(_TABLE_IN_MEMORY) as table:

        def kept() -> Iterator[Result]:
            for row, line in results(every_item(database, job_id), model):
                if line.face and row.face_key:
                    try:
                        archive.add(store.get(row.face_key), line.face)
                    except NotFound:
                        line = _without_face(line)
                yield line

        # Written while the faces go by, so that the table tells of exactly those in the archive.
        for text in csv_lines(kept()):
            table.write(text.encode())
            yield from archive.file()
        table.seek(0)
        archive.add(iter(lambda: table.read(_READ_AT_ONCE), b""), "results.csv")
        yield from archive.finalize()


def _without_face(line: Result) -> Result:
    return Result(**{**asdict(line), "face": "", "error_message": "The picture is no longer in the store."})


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
