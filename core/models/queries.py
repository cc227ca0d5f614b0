"""Reading the registry for pages and the API: who moved an alias, what came of a version, what it is best known for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.ledger.tables import Alias, DatasetVersion, Job, ModelVersion, User
from core.ledger.training_tables import Evaluation
from core.models.evaluations import headline
from core.models.promotion import rollback_target


@dataclass(frozen=True)
class Headline:
    """The one number shown beside a version's name, and where it was measured."""

    name: str
    metric: Mapping[str, Any]
    dataset: str
    split: str


@dataclass(frozen=True)
class AliasRow:
    alias: Alias
    version: ModelVersion
    back: ModelVersion | None  # where rolling back would lead


def headlines(session: Session, versions: Sequence[ModelVersion]) -> dict[str, Headline]:
    """By id of the version: the headline of its newest evaluation, those on test parts first."""
    query = (
        select(Evaluation, DatasetVersion)
        .join(DatasetVersion, DatasetVersion.id == Evaluation.dataset_version_id)
        .where(Evaluation.model_version_id.in_([version.id for version in versions]))
        .order_by(Evaluation.created_at, Evaluation.id)
    )
    rows = sorted(session.execute(query).all(), key=lambda row: row[0].split == "test")
    found = {}
    for evaluation, dataset in rows:
        if best := headline(evaluation.metrics):
            found[evaluation.model_version_id] = Headline(*best, dataset.label, evaluation.split)
    return found


def list_aliases(session: Session) -> list[AliasRow]:
    rows = session.execute(
        select(Alias, ModelVersion)
        .join(ModelVersion, ModelVersion.id == Alias.model_version_id)
        .order_by(Alias.name)
    )
    return [AliasRow(alias, version, rollback_target(session, alias.name)) for alias, version in rows.all()]


def children_of(session: Session, version: ModelVersion) -> Sequence[ModelVersion]:
    """The versions that began with the weights of this one, oldest first."""
    query = select(ModelVersion).where(ModelVersion.parent_id == version.id)
    return session.scalars(query.order_by(ModelVersion.created_at, ModelVersion.id)).all()


def labels_of(session: Session, version_ids: Iterable[str | None]) -> dict[str, str]:
    """Labels of versions by id, of deleted ones as well."""
    wanted = {one for one in version_ids if one is not None}
    query = select(ModelVersion).where(ModelVersion.id.in_(wanted))
    return {version.id: version.label for version in session.scalars(query)}


def actor_names(session: Session, actors: Iterable[str]) -> dict[str, str]:
    """Names of users and jobs by id; whoever is neither goes by the id."""
    wanted = set(actors)
    names = {one: one for one in wanted}
    for who, name in session.execute(select(User.id, User.name).where(User.id.in_(wanted))):
        names[who] = name
    for job_id, name in session.execute(select(Job.id, Job.name).where(Job.id.in_(wanted))):
        names[job_id] = f"job {name or job_id}"
    return names
