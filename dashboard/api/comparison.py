"""Two jobs over the same recordings, face beside face."""

from __future__ import annotations

from flask import Response

from core.comparison import compare_jobs, find_partners
from core.queries import get_job, load_companions
from dashboard.api.blueprint import answer, api_blueprint
from dashboard.api.comparison_schemas import (
    ComparisonPage,
    ComparisonPath,
    ComparisonQuery,
    PairView,
    PartnerList,
)
from dashboard.api.schemas import JobPath
from dashboard.api.views import item_view, job_view
from dashboard.identity import viewer
from dashboard.services import services

api = api_blueprint("comparison", "Two jobs over the same recordings, such as with two versions of a model.")


@api.get("/jobs/<job_id>/comparison/<other_id>", responses={200: ComparisonPage})
def compare(path: ComparisonPath, query: ComparisonQuery) -> Response:
    """The recordings that both jobs have, in the order of the first, each with both items."""
    user = viewer()
    with services().database.read() as session:
        first = get_job(session, user, path.job_id)
        second = get_job(session, user, path.other_id)
        found = compare_jobs(session, first, second, after=query.after, limit=query.limit, shown=query.shown)
        data = [
            PairView(
                first=item_view(first.id, pair.first, None),
                second=item_view(second.id, pair.second, None),
                same_picture=pair.is_same_picture,
            )
            for pair in found.pairs
        ]
    return answer(ComparisonPage(data=data, next=found.next))


@api.get("/jobs/<job_id>/comparison", responses={200: PartnerList})
def partners(path: JobPath) -> Response:
    """Jobs that this one can be compared with, newest first."""
    user = viewer()
    with services().database.read() as session:
        jobs = find_partners(session, user, get_job(session, user, path.job_id))
        held = load_companions(session, jobs)
        data = [job_view(session, job) for job in jobs]
        del held
    return answer(PartnerList(data=data))
