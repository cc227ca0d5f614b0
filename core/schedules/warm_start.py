"""Which version a retraining starts from, where it does not start from scratch."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.ledger.tables import Alias, ModelVersion, User
from core.models.registry import resolve_model
from core.schedules.specs import Training
from core.training.requests import check_training, model_names


def parent_of(session: Session, owner: User, training: Training, dataset: str) -> str | None:
    """The version in place where it is of this very model; else the newest version of it. None where there is none.

    What is in place may have been trained by something else altogether, and other networks cannot be started from.
    """
    names = model_names(training.spec(dataset, None))
    gate = training.after.gate
    labels: list[str] = []
    if gate is not None:
        placed = session.scalar(
            select(ModelVersion)
            .join(Alias, Alias.model_version_id == ModelVersion.id)
            .where(Alias.name == gate.alias, ModelVersion.deleted_at.is_(None))
        )
        if placed is not None and placed.name in names:
            labels.append(placed.label)
    for name in names:
        newest = session.scalar(
            select(ModelVersion)
            .where(ModelVersion.name == name, ModelVersion.deleted_at.is_(None))
            .order_by(ModelVersion.version.desc())
            .limit(1)
        )
        if newest is not None:
            labels.append(newest.label)
    for label in labels:
        _, problems = check_training(session, owner, training.spec(dataset, label))
        if not any(problem.field == "parent" for problem in problems):
            return resolve_model(session, label).label
    return None
