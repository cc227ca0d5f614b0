"""Jobs that train, evaluate and analyse: made here, and made again.

What comes of them is written by `core/training/program_results.py`.
"""

from __future__ import annotations

from sqlalchemy.orm import Session

from core.errors import Conflict, InvalidRequest, NotFound
from core.jobs import enter_job, job_of_key, queue_job
from core.ledger.database import now
from core.ledger.tables import Job, User
from core.models.registry import resolve_model
from core.new_items import NewRow, enter_items
from core.specs import PROGRAM_KINDS
from core.training.requests import check_spec
from core.training.specs import AnalyseSpec, EvaluateSpec, TrainSpec

TRAINING, MODEL = 0, 1  # stages of a train job
_TOLD = 5
_STEPS = {
    "train": (("training", "the training of {model}"), ("model", "the model {model}")),
    "evaluate": (("evaluation", "{model} on {dataset}"),),
    "analyse": (("analysis", "{model} on {dataset}"),),
}


def run_again(session: Session, job_id: str, *, owner_id: str, idempotency_key: str | None = None) -> Job:
    """Makes a new job of the same spec, with the same versions of everything, which begins from scratch.

    Raises:
        NotFound: there is no such job.
        Conflict: it is of a kind that is not run again.
        InvalidRequest: what it names is no longer here.
    """
    job = session.get(Job, job_id)
    if job is None:
        raise NotFound(f"There is no job {job_id}.")
    if job.kind not in PROGRAM_KINDS:
        raise Conflict(
            "Only trainings, evaluations and analyses are run again; retry what failed, or submit anew."
        )
    spec: TrainSpec | EvaluateSpec | AnalyseSpec
    if job.kind == "train":
        spec = TrainSpec.model_validate(job.spec)
    elif job.kind == "evaluate":
        spec = EvaluateSpec.model_validate(job.spec)
    else:
        spec = AnalyseSpec.model_validate(job.spec)
    return create_program_job(
        session,
        owner_id=owner_id,
        spec=spec,
        queue=job.queue,
        priority=min(job.priority, 0),
        name=job.name,
        idempotency_key=idempotency_key,
    )


def create_program_job(
    session: Session,
    *,
    owner_id: str,
    spec: TrainSpec | EvaluateSpec | AnalyseSpec,
    queue: str = "gpu",
    priority: int = 0,
    name: str = "",
    idempotency_key: str | None = None,
) -> Job:
    """Writes a job of the kind that the spec is of: `train` also registers the model and does what `spec.after` says.

    Raises:
        InvalidRequest: what it names is not here or does not fit; every reason is told.
    """
    earlier = job_of_key(session, owner_id, idempotency_key)
    if earlier is not None:
        return earlier
    pinned, problems = check_spec(session, _owner(session, owner_id), spec)
    if problems:
        told = [f"{problem.field}: {problem.message}" for problem in problems[:_TOLD]]
        raise InvalidRequest(" ".join(told))
    return _enter(
        session,
        pinned,
        owner_id=owner_id,
        queue=queue,
        priority=priority,
        name=name,
        idempotency_key=idempotency_key,
    )


def queue_of(spec: TrainSpec | EvaluateSpec | AnalyseSpec, queue: str) -> str:
    """Where a job waits: trainings of several hosts in a queue of their own, which only such groups listen on."""
    hosts = spec.machine.hosts if isinstance(spec, TrainSpec) else 1
    ending = f"-{hosts}-hosts"
    return queue if hosts == 1 or queue.endswith(ending) else queue + ending


def _owner(session: Session, owner_id: str) -> User:
    owner = session.get(User, owner_id)
    if owner is None:
        raise InvalidRequest(f"There is no user {owner_id}.")
    return owner


def _enter(
    session: Session,
    spec: TrainSpec | EvaluateSpec | AnalyseSpec,
    *,
    owner_id: str,
    queue: str,
    priority: int,
    name: str,
    idempotency_key: str | None,
) -> Job:
    at = now(session)
    queue = queue_of(spec, queue)
    model = None if isinstance(spec, TrainSpec) else resolve_model(session, spec.model).id
    steps = _STEPS[spec.kind]
    job = enter_job(
        session,
        spec=spec,
        owner_id=owner_id,
        name=name or f"{spec.kind} {spec.model}",
        queue=queue,
        priority=priority,
        model_version_id=model,
        idempotency_key=idempotency_key,
        at=at,
    )
    rows = [
        NewRow(stage, key, title.format(model=spec.model, dataset=spec.dataset), stage=stage)
        for stage, (key, title) in enumerate(steps)
    ]
    enter_items(session, job, rows, at=at)
    job.total = job.pending = len(rows)
    queue_job(session, job, at=at)
    return job
