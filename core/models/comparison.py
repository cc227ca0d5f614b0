"""Two model versions beside each other: what differs, by how much, and whether that may be chance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy.orm import Session

from core.ledger.tables import DatasetVersion, ModelVersion
from core.ledger.training_tables import Evaluation
from core.models.evaluations import evaluations_of
from core.models.gate import Difference, difference
from core.models.metric_words import in_order


@dataclass(frozen=True)
class ComparedMetric:
    """One metric of two versions, measured under the same conditions.

    Attributes:
        first, second: as the evaluations have it; None where it was not measured.
        difference: how much better the first one is; None where one of them is missing.
        better: the one with the better value.
        certain: whether the 95 % interval of the difference leaves out 0.
    """

    name: str
    first: Mapping[str, Any] | None
    second: Mapping[str, Any] | None
    difference: Difference | None
    better: Literal["first", "second", "equal"] | None
    certain: bool


@dataclass(frozen=True)
class ComparedEvaluations:
    """What both were measured on: a part of a dataset version under the same conditions."""

    dataset: DatasetVersion
    first: Evaluation
    second: Evaluation
    metrics: tuple[ComparedMetric, ...]


def compare_versions(
    session: Session, first: ModelVersion, second: ModelVersion
) -> list[ComparedEvaluations]:
    """Every pair of evaluations of the two that can be compared, newest first."""
    theirs = {
        (evaluation.dataset_version_id, evaluation.spec_sha256): evaluation
        for evaluation, _ in evaluations_of(session, second)
    }
    found = []
    for evaluation, dataset in evaluations_of(session, first):
        other = theirs.get((evaluation.dataset_version_id, evaluation.spec_sha256))
        if other is not None:
            metrics = compare_metrics(evaluation.metrics, other.metrics)
            found.append(ComparedEvaluations(dataset, evaluation, other, tuple(metrics)))
    return found


def compare_metrics(first: Mapping[str, Any], second: Mapping[str, Any]) -> Sequence[ComparedMetric]:
    """Metric by metric, what says most first."""
    return [_compare(name, first.get(name), second.get(name)) for name in in_order({*first, *second})]


def _compare(name: str, first: Mapping[str, Any] | None, second: Mapping[str, Any] | None) -> ComparedMetric:
    if first is None or second is None or first["better"] != second["better"]:
        return ComparedMetric(name, first, second, None, None, False)
    found = difference(first, second)
    better: Literal["first", "second", "equal"] = "equal"
    if found.value:
        better = "first" if found.value > 0 else "second"
    certain = found.certain and (found.low > 0 or found.high < 0)
    return ComparedMetric(name, first, second, found, better, certain)
