"""The same change of many jobs at once."""

from __future__ import annotations

from flask import Response
from pydantic import BaseModel, ConfigDict, Field

from core.queries import get_job
from dashboard.api.blueprint import answer, api_blueprint
from dashboard.api.schemas import ErrorView, JobView, Problem
from dashboard.api.views import job_view
from dashboard.identity import viewer
from dashboard.job_steering import MOST_JOBS, Action, steer
from dashboard.permissions import require_submitter
from dashboard.services import services

api = api_blueprint("steering", "Many jobs at once.")


class SteerRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")

    jobs: list[str] = Field(min_length=1, max_length=MOST_JOBS, description="Ids.")
    action: Action = Field(
        description="`retry` puts back what failed or was cancelled; `label` puts a label on, `unlabel` takes it away."
    )
    label: str = Field("", max_length=600, description="`name=value` for `label`, the name for `unlabel`.")


class SteeredView(BaseModel):
    id: str
    job: JobView | None = Field(description="As it is now; null where it was not changed.")
    error: ErrorView | None = Field(description="Why it was not.")


class SteeredList(BaseModel):
    data: list[SteeredView] = Field(description="One for each job, in the order given.")


@api.post("/jobs/steer", responses={200: SteeredList, 409: Problem})
def many(body: SteerRequest) -> Response:
    """Pause, resume, cancel, retry or label up to 200 jobs. What is refused for one is told for that one; where
    nothing could be done, the first refusal is the answer.
    """
    user = viewer()
    require_submitter(user)
    outcomes = steer(user, body.jobs, body.action, body.label)
    refusals = [one.refused for one in outcomes if one.refused is not None]
    if len(refusals) == len(outcomes):
        raise refusals[0]
    with services().database.read() as session:
        data = [
            SteeredView(
                id=one.id,
                job=job_view(session, get_job(session, user, one.id)) if one.job else None,
                error=ErrorView(code=one.refused.code, message=one.refused.message) if one.refused else None,
            )
            for one in outcomes
        ]
    return answer(SteeredList(data=data))
