"""Where a face comes from: by which model and seed, when and where it was drawn, and in which job first."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import and_, select
from sqlalchemy.orm import Session

from core.queries import visible_to
from core.specs import InferSpec
from core.tables import Attempt, Drawing, Item, Job, ModelVersion, User, Worker


@dataclass(frozen=True)
class FaceOrigin:
    """How a drawing was made; equal requests share one, so that the job it was made in may be an earlier one.

    Attributes:
        model: `name@version`.
        seed: of the noise, for models that take any.
        seconds: of work on it.
        job_id: of the job it was drawn in; None where the viewer may not see that job, or it is gone.
        device: of the worker, such as `cpu`; None where nobody knows any more.
    """

    model: str
    seed: int
    drawn_at: datetime
    seconds: float
    job_id: str | None
    job_name: str | None
    device: str | None


def origin_of(session: Session, viewer: User, job: Job, item_id: int) -> FaceOrigin | None:
    """Of the face of an item of a job that the caller already looked up for its viewer; None where it has no face."""
    row = session.execute(
        select(Drawing, ModelVersion, Job.id, Job.name, Worker.device)
        .select_from(Item)
        .join(Drawing, Drawing.id == Item.drawing_id)
        .join(ModelVersion, ModelVersion.id == Drawing.model_version_id)
        .outerjoin(Attempt, Attempt.id == Drawing.attempt_id)
        .outerjoin(Worker, Worker.id == Attempt.worker_id)
        .outerjoin(Job, and_(Job.id == Attempt.job_id, visible_to(viewer)))
        .where(Item.id == item_id, Item.job_id == job.id)
    ).one_or_none()
    if row is None:
        return None
    drawing, model, job_id, job_name, device = row
    # A drawing is found by a hash of its parameters, which are those of every job that shows it.
    seed = InferSpec.model_validate(job.spec).seed
    return FaceOrigin(model.label, seed, drawing.created_at, drawing.seconds, job_id, job_name, device)
