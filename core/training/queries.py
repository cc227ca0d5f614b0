"""Reading what programs tell and leave, for pages and the API: where they stand, their log, their files, evaluations.

Whoever may see a job may see all of that. Curves are read in `core/training/curves.py`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session, aliased

from core.errors import NotFound
from core.ledger.tables import DatasetVersion, Job, ModelVersion, User
from core.ledger.training_tables import Evaluation, JobFile, LogLine, TrainingProgress
from core.queries import visible_to

CHECKPOINT_KINDS = frozenset({"checkpoint", "best"})


@dataclass(frozen=True)
class ProgramRow:
    """A job that is a program, as lists show it."""

    job: Job
    owner: str
    progress: TrainingProgress | None


@dataclass(frozen=True)
class EvaluationRow:
    """An evaluation with the names of what it is about."""

    evaluation: Evaluation
    model: ModelVersion
    partner: ModelVersion | None
    dataset: DatasetVersion
    job: Job


def list_programs(
    session: Session, viewer: User, kinds: Collection[str], *, limit: int = 50, before: str | None = None
) -> list[ProgramRow]:
    """Jobs of some kinds that a user may see, newest first; the id of the last one is `before` of the next page."""
    query = (
        select(Job, User.name, TrainingProgress)
        .join(User, User.id == Job.owner_id)
        .outerjoin(TrainingProgress, TrainingProgress.job_id == Job.id)
        .where(Job.kind.in_(kinds), visible_to(viewer))
        .order_by(Job.id.desc())
        .limit(limit)
    )
    if before is not None:
        query = query.where(Job.id < before)
    return [ProgramRow(job, owner, progress) for job, owner, progress in session.execute(query)]


def progress_of(session: Session, job_id: str) -> TrainingProgress | None:
    """Where the program of a job stands; None before it has told anything."""
    return session.get(TrainingProgress, job_id)


def owner_name(session: Session, job: Job) -> str:
    return session.scalar(select(User.name).where(User.id == job.owner_id)) or ""


def log_after(session: Session, job_id: str, after: int | None, *, limit: int = 500) -> Sequence[LogLine]:
    """Lines behind an id, or the last ones there are; oldest first either way."""
    query = select(LogLine).where(LogLine.job_id == job_id).limit(limit)
    if after is None:
        return session.scalars(query.order_by(LogLine.id.desc())).all()[::-1]
    return session.scalars(query.where(LogLine.id > after).order_by(LogLine.id)).all()


def files_of(session: Session, job_id: str, kinds: Collection[str] = ()) -> Sequence[JobFile]:
    """What a job left so far, by name."""
    query = select(JobFile).where(JobFile.job_id == job_id).order_by(JobFile.name)
    return session.scalars(query.where(JobFile.kind.in_(kinds)) if kinds else query).all()


def file_of(session: Session, job_id: str, name: str) -> JobFile:
    """A file of a job that the caller already looked up for its viewer.

    Raises:
        NotFound: it left none of this name.
    """
    found = session.scalar(select(JobFile).where(JobFile.job_id == job_id, JobFile.name == name))
    if found is None:
        raise NotFound(f"This job has no file {name!r}.")
    return found


def news_mark(session: Session, job_id: str) -> tuple[str, int, str]:
    """Changes whenever a program told something: its progress, its last line, its files."""
    told = session.scalar(select(TrainingProgress.at).where(TrainingProgress.job_id == job_id))
    line = session.scalar(select(func.max(LogLine.id)).where(LogLine.job_id == job_id))
    count, newest = session.execute(
        select(func.count(), func.max(JobFile.created_at)).where(JobFile.job_id == job_id)
    ).one()
    return (told.isoformat() if told else "", line or 0, f"{count} {newest or ''}")


def trained_models(session: Session, job_id: str) -> Sequence[ModelVersion]:
    """The versions that a training registered, in the order it did."""
    query = select(ModelVersion).where(ModelVersion.job_id == job_id)
    return session.scalars(query.order_by(ModelVersion.created_at, ModelVersion.id)).all()


def list_evaluations(
    session: Session, viewer: User, *, limit: int = 50, before: str | None = None, job_id: str | None = None
) -> list[EvaluationRow]:
    """Newest first, of jobs that a user may see; the id of the last one is `before` of the next page."""
    query = _evaluation_rows(viewer).order_by(Evaluation.id.desc()).limit(limit)
    if before is not None:
        query = query.where(Evaluation.id < before)
    if job_id is not None:
        query = query.where(Evaluation.job_id == job_id)
    return [EvaluationRow(*row) for row in session.execute(query)]


def get_evaluation(session: Session, viewer: User, evaluation_id: str) -> EvaluationRow:
    """An evaluation that the viewer may see.

    Raises:
        NotFound: there is none, or its job is somebody else's; the answer does not tell which.
    """
    row = session.execute(_evaluation_rows(viewer).where(Evaluation.id == evaluation_id)).one_or_none()
    if row is None:
        raise NotFound("There is no such evaluation.")
    return EvaluationRow(*row)


def _evaluation_rows(viewer: User) -> Select[*tuple[Any, ...]]:
    partner = aliased(ModelVersion)
    return (
        select(Evaluation, ModelVersion, partner, DatasetVersion, Job)
        .join(ModelVersion, ModelVersion.id == Evaluation.model_version_id)
        .outerjoin(partner, partner.id == Evaluation.partner_version_id)
        .join(DatasetVersion, DatasetVersion.id == Evaluation.dataset_version_id)
        .join(Job, Job.id == Evaluation.job_id)
        .where(visible_to(viewer))
    )
