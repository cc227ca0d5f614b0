"""Where a face comes from: by which model and seed, when and where it was drawn, and in which job first."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import and_, select
from sqlalchemy.orm import Session

from core.ledger.tables import Attempt, Drawing, Item, Job, ModelVersion, User, Worker
from core.models.files import PAIR, SPEECH_TO_FACE
from core.models.registry import is_version_number
from core.queries import visible_to
from core.specs import InferSpec

FACE_DECODER = "face_decoder"  # the kind of decoder that predicts landmarks beside its picture


@dataclass(frozen=True)
class FaceOrigin:
    """How a drawing was made; equal requests share one, so that the job it was made in may be an earlier one.

    Attributes:
        model: `name@version`.
        seed: of the noise, for models that take any.
        seconds: of work on it.
        job_id: of the job it was drawn in; None where the viewer may not see that job, or it is gone.
        device: of the worker, such as `cpu`; None where nobody knows any more.
        knows_landmarks: whether that model knows where the landmarks of its faces lie.
    """

    model: str
    seed: int
    drawn_at: datetime
    seconds: float
    job_id: str | None
    job_name: str | None
    device: str | None
    knows_landmarks: bool


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
    return FaceOrigin(
        model=model.label,
        seed=seed,
        drawn_at=drawing.created_at,
        seconds=drawing.seconds,
        job_id=job_id,
        job_name=job_name,
        device=device,
        knows_landmarks=knows_landmarks(session, model),
    )


def knows_landmarks(session: Session, model: ModelVersion) -> bool:
    """Whether a model knows the landmarks of what it draws, as far as its configuration tells.

    A face may lack them all the same: drawn before models told them, or by one whose training had no dlib.
    """
    kind = model.config.get("kind", SPEECH_TO_FACE)
    if kind == SPEECH_TO_FACE:
        return bool((model.config.get("face_generator") or {}).get("landmarks"))
    name, _, version = str(model.config.get("decoder", "")).partition("@")
    if kind != PAIR or not is_version_number(version):
        return False
    decoder = session.scalar(
        select(ModelVersion).where(ModelVersion.name == name, ModelVersion.version == int(version))
    )
    return decoder is not None and decoder.config.get("kind") == FACE_DECODER
