"""The items of a job, in the order they were submitted."""

from __future__ import annotations

from dataclasses import asdict

from flask import Response, current_app, url_for

from core.faces.marks import marks_of
from core.faces.origins import origin_of
from core.narrowing import Narrowed, anchors, item_ids
from core.queries import get_item, get_job, items_page
from core.states import ITEM_WITH_FACE, ItemState
from dashboard.api.blueprint import answer, api_blueprint, parse_states
from dashboard.api.face_names import FaceNames
from dashboard.api.item_schemas import ItemDetails, OriginView
from dashboard.api.mark_schemas import Anchors, AnchorsQuery, ItemIds, NarrowedQuery
from dashboard.api.schemas import ItemPage, ItemPath, ItemsQuery, JobPath
from dashboard.api.views import item_view
from dashboard.identity import viewer
from dashboard.services import services

api = api_blueprint("items", "One recording of a job, its state, and the face that came of it.")
_FACE_NAMES = "voicesketch_face_names"


@api.record_once
def _remember_names(state: object) -> None:
    state.app.extensions[_FACE_NAMES] = FaceNames()  # type: ignore[attr-defined]


@api.get("/jobs/<job_id>/items", responses={200: ItemPage})
def page(path: JobPath, query: ItemsQuery) -> Response:
    """Items from a position on."""
    narrowed = _narrowed(query)
    with services().database.read() as session:
        job = get_job(session, viewer(), path.job_id)
        rows = items_page(
            session, job.id, after=query.after, limit=query.limit + 1, only=narrowed.clause(job.id)
        )
        shown = rows[: query.limit]
        marks = marks_of(session, [row.id for row in shown])
        named = _face_names().of(session, job.id, shown) if query.face_names else {}
    return answer(
        ItemPage(
            data=[item_view(job.id, row, named.get(row.id), marks.get(row.id)) for row in shown],
            next=shown[-1].position if len(rows) > query.limit else None,
        )
    )


@api.get("/jobs/<job_id>/items/<int:item_id>", responses={200: ItemDetails})
def show(path: ItemPath) -> Response:
    """One item, and where its face comes from."""
    user = viewer()
    with services().database.read() as session:
        job = get_job(session, user, path.job_id)
        row = get_item(session, job.id, path.item_id)
        named = _face_names().of(session, job.id, [row])
        mark = marks_of(session, [row.id]).get(row.id)
        origin = origin_of(session, user, job, row.id) if row.state in ITEM_WITH_FACE else None
    shown = item_view(job.id, row, named.get(row.id), mark)
    told = asdict(origin) if origin is not None else {}
    knows_landmarks = told.pop("knows_landmarks", False) and shown.face_url is not None
    return answer(
        ItemDetails(
            **vars(shown),
            origin=OriginView(**told) if told else None,
            landmarks_url=url_for("files.landmarks", job_id=job.id, item_id=row.id)
            if knows_landmarks
            else None,
        )
    )


@api.get("/jobs/<job_id>/items/anchors", responses={200: Anchors})
def blocks(path: JobPath, query: AnchorsQuery) -> Response:
    """Where the blocks of a narrowed list begin: any of them can then be read without those before it."""
    narrowed = _narrowed(query)
    with services().database.read() as session:
        job = get_job(session, viewer(), path.job_id)
        count, after = anchors(session, job.id, narrowed, query.every)
    return answer(Anchors(count=count, after=after))


@api.get("/jobs/<job_id>/items/ids", responses={200: ItemIds})
def ids(path: JobPath, query: NarrowedQuery) -> Response:
    """The ids of a narrowed list, all at once: what somebody means who takes everything in it."""
    narrowed = _narrowed(query)
    with services().database.read() as session:
        job = get_job(session, viewer(), path.job_id)
        found = item_ids(session, job.id, narrowed)
    return answer(ItemIds(data=found))


def _narrowed(query: ItemsQuery | NarrowedQuery) -> Narrowed:
    return Narrowed(
        states=parse_states(ItemState, query.state),
        error_code=query.error_code,
        favourites=query.favourites,
        noted=query.noted,
    )


def _face_names() -> FaceNames:
    found: FaceNames = current_app.extensions[_FACE_NAMES]
    return found
