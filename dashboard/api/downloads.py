"""Single things to take away: sheets of many faces, links that work without signing in, and who was told of the end."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import chain, islice
from typing import Any

from flask import Response

from core.errors import Conflict, NotFound
from core.faces.contact_sheet import Tile, contact_sheet_png
from core.faces.exports import Choice, check_items, chosen_results
from core.faces.sheet_pdf import pdf_pieces
from core.ledger.tables import Job
from core.names import safe_stem
from core.queries import get_item, get_job
from core.states import ITEM_WITH_FACE, ItemState
from core.webhooks import notes_of_job
from dashboard.api.blueprint import answer, api_blueprint, parse_states
from dashboard.api.object_response import disposition
from dashboard.api.result_schemas import FaceLink, FaceSelection, JobNoteView, SheetQuery, WebhookView
from dashboard.api.schemas import ItemPath, JobPath, Problem
from dashboard.identity import viewer
from dashboard.prefetching import fetched_ahead
from dashboard.services import services

api = api_blueprint("downloads", "Sheets of faces, links to hand on, and notes about a job's end.")

FACES_OF_A_PAGE = 80
MOST_PAGES = 100
LINK_LIFE = timedelta(minutes=15)
_BYTES: dict[str, Any] = {"schema": {"type": "string", "format": "binary"}}


@api.get("/jobs/<job_id>/contact-sheet.png", responses={"200": {"content": {"image/png": _BYTES}}})
def sheet(path: JobPath, query: SheetQuery) -> Response:
    """One page of the faces with their names, 80 a page; 404 behind the last."""
    job, pages = _pages(path.job_id, _choice(query), query.page)
    tiles = next(pages, None)
    if tiles is None:
        raise NotFound("There is no such page: the job has fewer faces so far.")
    name = f"{safe_stem(job.name)}-{query.page}.png"
    response = Response(contact_sheet_png(tiles, _title(job, query.page)), mimetype="image/png")
    response.headers["Content-Disposition"] = disposition("inline", name)
    return response


@api.get("/jobs/<job_id>/contact-sheet.pdf", responses={"200": {"content": {"application/pdf": _BYTES}}})
def sheet_pdf(path: JobPath, query: SheetQuery) -> Response:
    """The pages from `page` on, 100 of them at most, as a PDF."""
    return sheet_of(path.job_id, _choice(query), query.page)


@api.post("/jobs/<job_id>/contact-sheet.pdf", responses={"200": {"content": {"application/pdf": _BYTES}}})
def selection_sheet(path: JobPath, body: FaceSelection) -> Response:
    """The same of some items; those without a face are left out."""
    with services().database.read() as session:
        job = get_job(session, viewer(), path.job_id)
    check_items(services().database, job.id, body.items)
    return sheet_of(job.id, Choice(items=body.items))


def sheet_of(job_id: str, choice: Choice | None, page: int = 1) -> Response:
    """The PDF of chosen items of a job that the viewer may see, from a page on.

    Raises:
        NotFound: there is no such page.
    """
    job, pages = _pages(job_id, choice, page)
    first = next(pages, None)
    if first is None:
        raise NotFound("There is no such page: fewer of these have a face so far.")
    titled = (
        (tiles, _title(job, number))
        for number, tiles in enumerate(islice(chain([first], pages), MOST_PAGES), page)
    )
    response = Response(pdf_pieces(titled, job.name), mimetype="application/pdf")
    response.headers["Content-Disposition"] = disposition("attachment", f"{safe_stem(job.name)}.pdf")
    return response


@api.post(
    "/jobs/<job_id>/items/<int:item_id>/link", responses={"200": FaceLink, "409": Problem, "503": Problem}
)
def link(path: ItemPath) -> Response:
    """A link to the face that works without signing in, for 15 minutes."""
    store = services().store
    with services().database.read() as session:
        job = get_job(session, viewer(), path.job_id)
        row = get_item(session, job.id, path.item_id)
    if row.state not in ITEM_WITH_FACE or not row.face_key:
        raise NotFound("This item has no face.")
    if not services().settings.s3_public_url:
        raise Conflict(
            "This place gives no links: its object store cannot be reached from outside. "
            "Download the face instead, or have VOICESKETCH_S3_PUBLIC_URL set."
        )
    expires_at = datetime.now(UTC).replace(microsecond=0) + LINK_LIFE
    url = store.link(
        row.face_key,
        seconds=int(LINK_LIFE.total_seconds()),
        disposition=disposition("attachment", safe_stem(row.name) + ".png"),
    )
    return answer(FaceLink(url=url, expires_at=expires_at))


@api.get("/jobs/<job_id>/webhook", responses={"200": WebhookView})
def webhook(path: JobPath) -> Response:
    """Where the end of the job is told, and how the notes about it fared."""
    with services().database.read() as session:
        job = get_job(session, viewer(), path.job_id)
        url, notes = notes_of_job(session, job.id)
        views = [
            JobNoteView(
                id=note.id,
                delivered=note.delivered_at is not None,
                delivered_at=note.delivered_at,
                attempts=note.attempts,
                next_attempt_at=note.next_attempt_at,
                last_error=note.last_error,
                created_at=note.created_at,
            )
            for note in notes
        ]
    return answer(WebhookView(url=url, notes=views))


def _choice(query: SheetQuery) -> Choice | None:
    """None where nothing with a face was asked for."""
    wanted = set(parse_states(ItemState, query.state)) or ITEM_WITH_FACE
    states = wanted & ITEM_WITH_FACE
    return Choice(states=states, favourites=query.favourites) if states else None


def _pages(job_id: str, choice: Choice | None, page: int) -> tuple[Job, Iterator[list[Tile]]]:
    with services().database.read() as session:
        job = get_job(session, viewer(), job_id)
    store, database = services().store, services().database

    def pages() -> Iterator[list[Tile]]:
        if choice is None:
            return
        lines = chosen_results(database, job.id, "", choice)
        wanted = ((line, row.face_key, row.face_bytes or 0) for row, line in lines if line.face)
        skipped = (page - 1) * FACES_OF_A_PAGE
        # Skipped before they are fetched, so that the last page costs one page of faces.
        faces = fetched_ahead(store, islice(wanted, skipped, None))
        while tiles := [
            Tile(line.recording, face, None, None if face else "no longer in the store")
            for line, face in islice(faces, FACES_OF_A_PAGE)
        ]:
            yield tiles

    return job, pages()


def _title(job: Job, page: int) -> str:
    return f"{job.name} · page {page}"
