"""Stars and notes on the faces of a job."""

from __future__ import annotations

from flask import Response

from core.faces.marks import put_mark, star_many
from core.queries import get_job
from dashboard.api.blueprint import answer, api_blueprint
from dashboard.api.mark_schemas import ManyMarks, MarkChange, Marked
from dashboard.api.schemas import ItemPath, JobPath, MarkView
from dashboard.api.views import mark_view
from dashboard.identity import viewer
from dashboard.permissions import require_change
from dashboard.services import services

api = api_blueprint("marks", "Stars and notes on faces, seen by everybody who may see the job.")


@api.put("/jobs/<job_id>/items/<int:item_id>/mark", responses={200: MarkView})
def put(path: ItemPath, body: MarkChange) -> Response:
    """Give a face a star or a note, or take it away. What is left out stays as it is."""
    user = viewer()
    with services().database.write() as session:
        job = get_job(session, user, path.job_id)
        require_change(user, job)
        mark = put_mark(session, job.id, path.item_id, by=user.id, favourite=body.favourite, note=body.note)
        return answer(mark_view(mark))


@api.put("/jobs/<job_id>/marks", responses={200: Marked})
def put_many(path: JobPath, body: ManyMarks) -> Response:
    """Give many faces a star at once, or take it away."""
    user = viewer()
    with services().database.write() as session:
        job = get_job(session, user, path.job_id)
        require_change(user, job)
        marked = star_many(session, job.id, body.items, by=user.id, favourite=body.favourite)
    return answer(Marked(marked=marked))
