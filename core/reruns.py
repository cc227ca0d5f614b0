"""Running the recordings of a job again, with the same or another model version: first as a count, then as a job."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from sqlalchemy import ColumnElement, and_, exists, func, select, true
from sqlalchemy.orm import Session

from core.errors import InvalidRequest
from core.jobs import create_job
from core.queries import get_job
from core.registry import input_of, resolve_model
from core.sources import share_recordings
from core.specs import InferSpec, NewItem
from core.states import ItemState
from core.tables import Drawing, Item, Job, ModelVersion, User

# Those that the model has not drawn yet, those that failed in the job, or every recording of it.
Which = Literal["missing", "failed", "all"]
RERUN_KINDS: tuple[Which, ...] = get_args(Which)


@dataclass(frozen=True)
class RerunPlan:
    """What running again would come to.

    Attributes:
        items: how many recordings the new job would have.
        known: how many of them the model has drawn before, so that they cost nothing.
    """

    model: str
    which: Which
    items: int
    known: int


def plan_rerun(
    session: Session, viewer: User, job_id: str, *, model: str, which: Which = "missing"
) -> RerunPlan:
    """Says how many recordings would be run, and changes nothing.

    Raises:
        NotFound: there is no such job for this user.
        InvalidRequest: the job draws no faces, or the model does not draw from what the job has.
    """
    job, version = _both(session, viewer, job_id, model)
    count = select(func.count()).select_from(Item)
    items = session.scalar(count.where(_chosen(job, version, which))) or 0
    known = 0
    if items and which != "missing":
        known = session.scalar(count.where(_chosen(job, version, which), _is_drawn(job, version))) or 0
    return RerunPlan(version.label, which, items, known)


def rerun_job(
    session: Session,
    viewer: User,
    job_id: str,
    *,
    model: str,
    which: Which = "missing",
    name: str = "",
    max_items: int = 100_000,
    idempotency_key: str | None = None,
) -> Job:
    """A new job of the viewer over recordings of an earlier one, which it names in `rerun_of`.

    Raises:
        NotFound: there is no such job for this user.
        InvalidRequest: as `plan_rerun`, or there is nothing to run.
    """
    job, version = _both(session, viewer, job_id, model)
    rows = session.execute(
        select(Item.key, Item.name, Item.recording_sha256)
        .where(_chosen(job, version, which))
        .order_by(Item.position)
    )
    items = [NewItem(key=key, name=shown, recording=sha256) for key, shown, sha256 in rows]
    if not items:
        raise InvalidRequest(
            {
                "missing": f"{version.label} has drawn every recording of this job already.",
                "failed": "Nothing failed in this job that could be run again.",
                "all": "This job has no recordings.",
            }[which]
        )
    share_recordings(session, viewer, items)
    return create_job(
        session,
        owner_id=viewer.id,
        spec=InferSpec(model=version.label, seed=InferSpec.model_validate(job.spec).seed),
        items=items,
        name=name or f"{job.name[:150]}, again with {version.label}",
        queue=job.queue,
        labels=job.labels,
        rerun_of=job.id,
        idempotency_key=idempotency_key,
        max_items=max_items,
    )


def _both(session: Session, viewer: User, job_id: str, model: str) -> tuple[Job, ModelVersion]:
    job = get_job(session, viewer, job_id)
    if job.kind != "infer":
        raise InvalidRequest("Only jobs that draw faces are run again with another model.")
    version = resolve_model(session, model)
    earlier = session.get(ModelVersion, job.model_version_id)
    if earlier is not None and input_of(version) != input_of(earlier):
        raise InvalidRequest(f"{version.label} does not draw from what this job has. Choose another model.")
    return job, version


def _chosen(job: Job, version: ModelVersion, which: Which) -> ColumnElement[bool]:
    own: ColumnElement[bool] = true()
    if which == "missing":
        own = ~_is_drawn(job, version)
    elif which == "failed":
        own = Item.state == ItemState.FAILED
    return and_(Item.job_id == job.id, Item.recording_sha256.is_not(None), own)


def _is_drawn(job: Job, version: ModelVersion) -> ColumnElement[bool]:
    parameters = InferSpec.model_validate(job.spec).parameters_sha256()
    return exists().where(
        Drawing.recording_sha256 == Item.recording_sha256,
        Drawing.model_version_id == version.id,
        Drawing.parameters_sha256 == parameters,
    )
