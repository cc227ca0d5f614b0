"""The items of a job, in the order they were submitted."""

from __future__ import annotations

from flask import Response, current_app

from core.queries import get_item, get_job, items_page
from core.states import ItemState
from dashboard.api.blueprint import answer, api_blueprint, parse_states
from dashboard.api.face_names import FaceNames
from dashboard.api.schemas import ItemPage, ItemPath, ItemsQuery, ItemView, JobPath
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
    states = parse_states(ItemState, query.state)
    with services().database.read() as session:
        job = get_job(session, viewer(), path.job_id)
        rows = items_page(session, job.id, after=query.after, limit=query.limit + 1, states=states)
        shown = rows[: query.limit]
        names = _face_names()
        if states:
            named = names.for_some(session, job.id, shown)
        else:
            named = names.for_page(session, job.id, query.after, shown)
    return answer(
        ItemPage(
            data=[item_view(job.id, row, named.get(row.id)) for row in shown],
            next=shown[-1].position if len(rows) > query.limit else None,
        )
    )


@api.get("/jobs/<job_id>/items/<int:item_id>", responses={200: ItemView})
def show(path: ItemPath) -> Response:
    """One item."""
    with services().database.read() as session:
        job = get_job(session, viewer(), path.job_id)
        row = get_item(session, job.id, path.item_id)
        named = _face_names().for_some(session, job.id, [row])
    return answer(item_view(job.id, row, named.get(row.id)))


def _face_names() -> FaceNames:
    found: FaceNames = current_app.extensions[_FACE_NAMES]
    return found
