"""What the program of a job says."""

from __future__ import annotations

from flask import Response

from core.queries import get_job
from core.training.queries import log_after
from dashboard.api.blueprint import answer, api_blueprint
from dashboard.api.schemas import JobPath
from dashboard.api.watching_schemas import LogLineView, LogQuery, LogView
from dashboard.identity import viewer
from dashboard.services import services

api = api_blueprint("logs", "What programs say. The last few thousand lines of each job are kept.")


@api.get("/jobs/<job_id>/log", responses={200: LogView})
def log(path: JobPath, query: LogQuery) -> Response:
    """Lines of the log, oldest first."""
    with services().database.read() as session:
        job = get_job(session, viewer(), path.job_id)
        lines = log_after(session, job.id, query.after, limit=query.limit)
    data = [LogLineView(id=line.id, level=line.level, text=line.text, at=line.at) for line in lines]
    return answer(LogView(data=data, next=data[-1].id if data else query.after or 0))
