"""What is made of faces that were chosen in a gallery. A form asks for it, so that the browser saves it as it comes."""

from __future__ import annotations

from flask import Blueprint, Response, request

from core.faces.exports import Choice, check_items
from core.queries import get_job
from dashboard.api.downloads import sheet_of
from dashboard.api.results import zip_of
from dashboard.gallery import chosen_ids
from dashboard.identity import viewer
from dashboard.services import services

bp = Blueprint("chosen_faces", __name__)


@bp.post("/jobs/<job_id>/chosen/<any('faces.zip', 'contact-sheet.pdf'):kind>")
def take(job_id: str, kind: str) -> Response:
    """The chosen faces as an archive, or as sheets. Changes nothing; it is a POST for the length of the choice."""
    here = services()
    with here.database.read() as session:
        job = get_job(session, viewer(), job_id)
    ids = chosen_ids(request.form.get("chosen", ""), here.settings.max_items_per_job)
    check_items(here.database, job.id, ids)
    choice = Choice(items=ids)
    return zip_of(job.id, choice) if kind == "faces.zip" else sheet_of(job.id, choice)
