"""What a claim hands to a worker: a run of items of one job, with everything that is needed to work on them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import starmap
from typing import Any

from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from core.claims.chunk_moves import IS_LEASED
from core.ledger.prepared import Prepared
from core.ledger.tables import Attempt, Drawing, Item, Job, Recording
from core.specs import PROGRAM_KINDS, InferSpec, PrepareSpec


@dataclass(frozen=True)
class ClaimedItem:
    id: int
    name: str
    recording_sha256: str
    object_key: str
    size_bytes: int
    drawing_id: str | None  # the face that is already there for this recording, model version and parameters


@dataclass(frozen=True)
class ClaimedStep:
    """A step of a preparation or of a training; later stages wait for the earlier ones.

    A preparation has shards (stage 0) and the dataset version made of all of them (stage 1), a training the training
    itself (stage 0) and what becomes of its model (stage 1). Evaluations and analyses have one step.
    """

    id: int
    name: str
    position: int
    stage: int


@dataclass(frozen=True)
class InferChunk:
    """Recordings to draw faces for."""

    attempt_id: str
    job_id: str
    token: int
    worker_id: str
    model_version_id: str
    parameters_sha256: str
    seed: int
    items: tuple[ClaimedItem, ...]


@dataclass(frozen=True)
class PrepareChunk:
    """Steps of a dataset in the making."""

    attempt_id: str
    job_id: str
    token: int
    worker_id: str
    dataset: str
    plan_sha256: str
    items: tuple[ClaimedStep, ...]


@dataclass(frozen=True)
class ProgramChunk:
    """The next step of a training, or an evaluation, or an analysis: always one item.

    Attributes:
        kind: of the job: `train`, `evaluate` or `analyse`.
        owner_id: of the job, in whose name models are moved.
        spec: as kept with the job, with labels of versions in place of names.
        lost: how often a worker or a program died of this step since it last left a checkpoint.
    """

    attempt_id: str
    job_id: str
    token: int
    worker_id: str
    kind: str
    owner_id: str
    spec: dict[str, Any]
    lost: int
    items: tuple[ClaimedStep, ...]


Chunk = InferChunk | PrepareChunk | ProgramChunk


_INFERENCE_ITEMS = Prepared(
    select(Item.id, Item.name, Recording.sha256, Recording.object_key, Recording.size_bytes, Drawing.id)
    .join(Recording, Recording.sha256 == Item.recording_sha256)
    .outerjoin(
        Drawing,
        (Drawing.recording_sha256 == Recording.sha256)
        & (Drawing.model_version_id == bindparam("model"))
        & (Drawing.parameters_sha256 == bindparam("parameters")),
    )
    .where(Item.attempt_id == bindparam("attempt"), IS_LEASED)
    .order_by(Item.position)
)


def read_chunk(session: Session, job: Job, attempt: Attempt) -> Chunk:
    """The chunk of an attempt that was just made."""
    if job.kind == "prepare":
        return _read_preparation(session, job, attempt)
    if job.kind in PROGRAM_KINDS:
        return _read_program(session, job, attempt)
    return _read_inference(session, job, attempt)


def _read_inference(session: Session, job: Job, attempt: Attempt) -> InferChunk:
    assert job.model_version_id is not None
    spec = InferSpec.model_validate(job.spec)
    parameters = spec.parameters_sha256()
    rows = _INFERENCE_ITEMS.rows(
        session, attempt=attempt.id, model=job.model_version_id, parameters=parameters
    )
    return InferChunk(
        attempt_id=attempt.id,
        job_id=job.id,
        token=attempt.token,
        worker_id=attempt.worker_id,
        model_version_id=job.model_version_id,
        parameters_sha256=parameters,
        seed=spec.seed,
        items=tuple(starmap(ClaimedItem, rows)),
    )


def _read_preparation(session: Session, job: Job, attempt: Attempt) -> PrepareChunk:
    spec = PrepareSpec.model_validate(job.spec)
    rows = session.execute(
        select(Item.id, Item.name, Item.position, Item.stage)
        .where(Item.attempt_id == attempt.id, IS_LEASED)
        .order_by(Item.position)
    )
    return PrepareChunk(
        attempt_id=attempt.id,
        job_id=job.id,
        token=attempt.token,
        worker_id=attempt.worker_id,
        dataset=spec.dataset,
        plan_sha256=spec.plan_sha256,
        items=tuple(ClaimedStep(*row) for row in rows),
    )


def _read_program(session: Session, job: Job, attempt: Attempt) -> ProgramChunk:
    items = session.scalars(
        select(Item).where(Item.attempt_id == attempt.id, IS_LEASED).order_by(Item.position)
    ).all()
    return ProgramChunk(
        attempt_id=attempt.id,
        job_id=job.id,
        token=attempt.token,
        worker_id=attempt.worker_id,
        kind=job.kind,
        owner_id=job.owner_id,
        spec=job.spec,
        lost=max(item.lost for item in items),
        items=tuple(ClaimedStep(item.id, item.name, item.position, item.stage) for item in items),
    )
