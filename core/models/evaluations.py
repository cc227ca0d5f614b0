"""How models fared: entering what was measured, and finding it again.

Numbers can be compared where they were measured on the same dataset version under the same conditions: the same part
of it, the same people, the same seed. A measurement that is repeated takes the place of the earlier one.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from core.claims.leases import hold_attempt
from core.errors import InvalidRequest
from core.identifiers import new_id
from core.ledger.database import now
from core.ledger.tables import DatasetVersion, ModelVersion
from core.ledger.training_tables import Evaluation
from core.models.metric_words import in_order
from core.training.specs import EvaluateSpec


def conditions_sha256(spec: EvaluateSpec) -> str:
    """Names everything, besides the model and the dataset, that the numbers depend on."""
    conditions = {"split": spec.split, "most_people": spec.most_people, "seed": spec.seed}
    return hashlib.sha256(json.dumps(conditions, sort_keys=True).encode()).hexdigest()


def enter_evaluation(
    session: Session,
    *,
    attempt_id: str,
    version: ModelVersion,
    dataset: DatasetVersion,
    spec: EvaluateSpec,
    metrics: Mapping[str, Any],
    partner: ModelVersion | None = None,
) -> Evaluation:
    """Enters what an attempt measured; measured again under the same conditions, it replaces the numbers.

    Args:
        metrics: by name, as docs/metrics.md has them.

    Raises:
        LeaseLost: the attempt is over; nothing was written.
        InvalidRequest: a metric has no value.
    """
    job, _ = hold_attempt(session, attempt_id)
    values = {
        "partner_version_id": partner.id if partner is not None else None,
        "split": spec.split,
        "job_id": job.id,
        "metrics": {name: _checked(name, metric) for name, metric in metrics.items()},
        "created_at": now(session),
    }
    insert = sqlite.insert if session.get_bind().dialect.name == "sqlite" else postgresql.insert
    key = {
        "model_version_id": version.id,
        "dataset_version_id": dataset.id,
        "spec_sha256": conditions_sha256(spec),
    }
    session.execute(
        insert(Evaluation)
        .values(id=new_id("evaluation"), **key, **values)
        .on_conflict_do_update(index_elements=list(key), set_=values)
    )
    found = evaluation_of(session, version, dataset, key["spec_sha256"])
    assert found is not None
    session.refresh(found)
    return found


def evaluation_of(
    session: Session, version: ModelVersion, dataset: DatasetVersion, spec_sha256: str
) -> Evaluation | None:
    """How a version fared there, where it was measured."""
    return session.scalar(
        select(Evaluation).where(
            Evaluation.model_version_id == version.id,
            Evaluation.dataset_version_id == dataset.id,
            Evaluation.spec_sha256 == spec_sha256,
        )
    )


def evaluations_of(session: Session, version: ModelVersion) -> Sequence[tuple[Evaluation, DatasetVersion]]:
    """Every evaluation of a version with its dataset, newest first."""
    query = (
        select(Evaluation, DatasetVersion)
        .join(DatasetVersion, DatasetVersion.id == Evaluation.dataset_version_id)
        .where(Evaluation.model_version_id == version.id)
        .order_by(Evaluation.created_at.desc(), Evaluation.id.desc())
    )
    return [(evaluation, dataset) for evaluation, dataset in session.execute(query)]


def headline(metrics: Mapping[str, Any]) -> tuple[str, dict[str, Any]] | None:
    """The metric that says most about a model in one number, of those that were measured."""
    names = in_order(metrics)
    return (names[0], metrics[names[0]]) if names else None


def _checked(name: str, metric: Mapping[str, Any]) -> dict[str, Any]:
    value = metric.get("value")
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise InvalidRequest(f"The metric {name} has no value.")
    if metric.get("better") not in ("higher", "lower"):
        raise InvalidRequest(f"The metric {name} does not say whether higher or lower is better.")
    # JSON of PostgreSQL knows no NaN and no infinity; what is no number was not measured.
    if not math.isfinite(value):
        raise InvalidRequest(f"The metric {name} is {value}: what could not be measured is left out.")
    return dict(metric)
