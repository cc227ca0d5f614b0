"""Running the recordings of a job again, with the same or another model version: first as a count, then as a job."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal, get_args

from sqlalchemy import ColumnElement, and_, exists, func, select, true
from sqlalchemy.orm import Session

from core.errors import InvalidRequest
from core.incoming.sources import share_recordings
from core.jobs import create_job, job_of_key
from core.ledger.tables import Drawing, Item, Job, ModelVersion, User
from core.models.registry import input_of, resolve_model
from core.queries import get_job
from core.specs import InferSpec, NewItem
from core.states import ItemState

# Those that the model has not drawn yet, those that failed in the job, or every recording of it.
Which = Literal["missing", "failed", "all"]
RERUN_KINDS: tuple[Which, ...] = get_args(Which)


@dataclass(frozen=True)
class Wanted:
    """Which recordings of a job are run again.

    Attributes:
        items: only these of them, by id.
        error_code: only what failed of this in the job.
    """

    which: Which = "missing"
    items: Collection[int] | None = None
    error_code: str | None = None


_MISSING = Wanted()


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
    session: Session, viewer: User, job_id: str, *, model: str, wanted: Wanted = _MISSING
) -> RerunPlan:
    """Says how many recordings would be run, and changes nothing.

    Raises:
        NotFound: there is no such job for this user.
        InvalidRequest: the job draws no faces, or the model does not draw from what the job has.
    """
    job, version = _both(session, viewer, job_id, model)
    count = select(func.count()).select_from(Item)
    chosen = _chosen(job, version, wanted)
    items = session.scalar(count.where(chosen)) or 0
    known = 0
    if items and wanted.which != "missing":
        known = session.scalar(count.where(chosen, _is_drawn(job, version))) or 0
    return RerunPlan(version.label, wanted.which, items, known)


def rerun_job(
    session: Session,
    viewer: User,
    job_id: str,
    *,
    model: str,
    wanted: Wanted = _MISSING,
    name: str = "",
    max_items: int = 100_000,
    idempotency_key: str | None = None,
) -> Job:
    """A new job of the viewer over recordings of an earlier one, which it names in `rerun_of`.

    The same viewer and idempotency key bring back the job that was made first.

    Raises:
        NotFound: there is no such job for this user.
        InvalidRequest: as `plan_rerun`, or there is nothing to run.
    """
    job, version = _both(session, viewer, job_id, model)
    if (earlier := job_of_key(session, viewer.id, idempotency_key)) is not None:
        return earlier  # asked once more; by now the model may have drawn everything
    rows = session.execute(
        select(Item.key, Item.name, Item.recording_sha256)
        .where(_chosen(job, version, wanted))
        .order_by(Item.position)
    )
    items = [NewItem(key=key, name=shown, recording=sha256) for key, shown, sha256 in rows]
    if not items:
        raise InvalidRequest(_nothing(version, wanted))
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


def _nothing(version: ModelVersion, wanted: Wanted) -> str:
    if wanted.items is not None:
        return "None of the chosen recordings is to be run again."
    if wanted.error_code is not None:
        return f"Nothing failed of {wanted.error_code} in this job that could be run again."
    return {
        "missing": f"{version.label} has drawn every recording of this job already.",
        "failed": "Nothing failed in this job that could be run again.",
        "all": "This job has no recordings.",
    }[wanted.which]


def _chosen(job: Job, version: ModelVersion, wanted: Wanted) -> ColumnElement[bool]:
    own: ColumnElement[bool] = true()
    if wanted.which == "missing":
        own = ~_is_drawn(job, version)
    elif wanted.which == "failed":
        own = Item.state == ItemState.FAILED
    if wanted.items is not None:
        own = and_(own, Item.id.in_(wanted.items))
    if wanted.error_code is not None:
        own = and_(own, Item.state == ItemState.FAILED, Item.error_code == wanted.error_code)
    return and_(Item.job_id == job.id, Item.recording_sha256.is_not(None), own)


def _is_drawn(job: Job, version: ModelVersion) -> ColumnElement[bool]:
    parameters = InferSpec.model_validate(job.spec).parameters_sha256()
    return exists().where(
        Drawing.recording_sha256 == Item.recording_sha256,
        Drawing.model_version_id == version.id,
        Drawing.parameters_sha256 == parameters,
    )
