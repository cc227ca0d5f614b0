"""Whether a new model version may take an alias: it must not be worse on a metric than chance explains.

Both versions are measured on the same part of the same dataset version. From their values and 95 % intervals comes
an interval of the difference (Zou and Donner, 2008: distances of the limits from the values, added in squares). Where
all of it says "worse", the gate is shut. So a version that is as good is refused in at most one of 40 cases; that both
met the same people makes the interval a little too wide, never too narrow, so the gate errs on the side of passing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from core.ledger.tables import Alias, DatasetVersion, ModelVersion
from core.ledger.training_tables import Evaluation
from core.models.evaluations import evaluation_of, evaluations_of
from core.models.registry import input_of
from core.training.specs import Gate


@dataclass(frozen=True)
class Difference:
    """How much better one value is than another, with its 95 % interval; below 0 is worse, whatever the metric."""

    value: float
    low: float
    high: float
    certain: bool  # False where neither value has an interval, so that nothing is known of chance


@dataclass(frozen=True)
class Verdict:
    """What the gate says.

    Attributes:
        sentence: why, for people.
        candidate, production: the values, where they were measured.
        interval: of the difference, positive where the candidate is better; None where nothing was compared.
    """

    passed: bool
    sentence: str
    candidate: float | None = None
    production: float | None = None
    interval: tuple[float, float] | None = None

    def to_dict(self) -> dict[str, Any]:
        return {
            "passed": self.passed,
            "sentence": self.sentence,
            "candidate": self.candidate,
            "production": self.production,
            "interval": list(self.interval) if self.interval is not None else None,
        }


def rival(session: Session, candidate: ModelVersion, gate: Gate) -> ModelVersion | None:
    """The version that a candidate is to be compared with; None where there is none, or none of its kind."""
    alias = session.get(Alias, gate.alias)
    version = session.get(ModelVersion, alias.model_version_id) if alias is not None else None
    if version is None or version.id == candidate.id or input_of(version) != input_of(candidate):
        return None
    return version


def to_measure_first(
    session: Session, candidate: ModelVersion, gate: Gate, *, dataset: DatasetVersion, spec_sha256: str
) -> ModelVersion | None:
    """The version that must be measured before `judge` is asked; None where all numbers are there."""
    other = rival(session, candidate, gate)
    if other is None or evaluation_of(session, other, dataset, spec_sha256) is not None:
        return None
    return other


def judge(session: Session, candidate: ModelVersion, gate: Gate, evaluation: Evaluation | None) -> Verdict:
    """Compares a candidate with the version that the gate's alias points at now.

    Args:
        evaluation: of the candidate; the other version's is looked up on the same dataset and conditions.
    """
    alias = session.get(Alias, gate.alias)
    current = session.get(ModelVersion, alias.model_version_id) if alias is not None else None
    mine = _metric(evaluation, gate.metric)
    value = mine["value"] if mine is not None else None
    if current is None:
        return Verdict(True, f"There is no {gate.alias} yet that it could be worse than.", value)
    if current.id == candidate.id:
        return Verdict(True, f"It is {gate.alias} already.", value)
    if input_of(current) != input_of(candidate):
        why = (
            f"{candidate.label} draws nothing by itself"
            if input_of(candidate) is None
            else f"{current.label}, which is {gate.alias}, draws from another kind of input"
        )
        return Verdict(True, f"{why}, so the two cannot be compared.", value)
    if evaluation is None:
        return Verdict(
            False, f"{candidate.label} was not measured, so nothing is known of it. Evaluate it first."
        )
    if mine is None:
        return Verdict(
            False,
            f"{gate.metric} could not be measured for {candidate.label}. Choose another metric for the gate.",
        )
    theirs = _evaluation_of_current(session, current, evaluation)
    if theirs is None:
        return Verdict(False, _not_measured(session, current, gate, evaluation), value)
    other = _metric(theirs, gate.metric)
    if other is None:
        return Verdict(
            True,
            f"{gate.metric} could not be measured for {current.label}, so nothing says that it is better.",
            value,
        )
    if mine["better"] != other["better"]:
        return Verdict(
            False,
            f"{gate.metric} means different things in the two evaluations. Evaluate {current.label} anew.",
            value,
            other["value"],
        )
    return _compare(candidate, current, gate, mine, other)


def difference(mine: Mapping[str, Any], other: Mapping[str, Any]) -> Difference:
    """How much better a metric is than the same metric of another version."""
    sign = 1.0 if mine["better"] == "higher" else -1.0
    a, a_low, a_high = _signed(mine, sign)
    b, b_low, b_high = _signed(other, sign)
    return Difference(
        a - b,
        a - b - math.hypot(a - a_low, b_high - b),
        a - b + math.hypot(a_high - a, b - b_low),
        _has_interval(mine) or _has_interval(other),
    )


def _compare(
    candidate: ModelVersion,
    current: ModelVersion,
    gate: Gate,
    mine: Mapping[str, Any],
    other: Mapping[str, Any],
) -> Verdict:
    found = difference(mine, other)
    passed = found.high >= 0
    values = f"{gate.metric} is {mine['value']:.4g} for {candidate.label} and {other['value']:.4g} for {current.label}"
    if not found.certain:
        sentence = f"{values}; it has no interval, so it must not be worse at all" + (
            ", and is not." if passed else "."
        )
    elif passed and found.low > 0:
        sentence = f"{values}: better by more than chance explains."
    elif passed:
        noticed = found.high - found.value
        sentence = f"{values}: not worse by more than its interval (±{noticed:.2g} for the difference)."
    else:
        sentence = (
            f"{values}: worse by more than its interval (±{found.high - found.value:.2g} for the difference)."
        )
    return Verdict(passed, sentence, mine["value"], other["value"], (found.low, found.high))


def _evaluation_of_current(
    session: Session, current: ModelVersion, evaluation: Evaluation
) -> Evaluation | None:
    dataset = session.get(DatasetVersion, evaluation.dataset_version_id)
    assert dataset is not None
    return evaluation_of(session, current, dataset, evaluation.spec_sha256)


def _not_measured(session: Session, current: ModelVersion, gate: Gate, evaluation: Evaluation) -> str:
    dataset = session.get(DatasetVersion, evaluation.dataset_version_id)
    assert dataset is not None
    elsewhere = [f"{other.label}, {found.split}" for found, other in evaluations_of(session, current)]
    more = f", only on {elsewhere[0]}, which cannot be compared" if elsewhere else ""
    return (
        f"{current.label}, which is {gate.alias}, was not measured on {dataset.label}, {evaluation.split}{more}. "
        "Evaluate it there first."
    )


def _metric(evaluation: Evaluation | None, name: str) -> Mapping[str, Any] | None:
    found = evaluation.metrics.get(name) if evaluation is not None else None
    return found if found is not None and math.isfinite(found["value"]) else None


def _has_interval(metric: Mapping[str, Any]) -> bool:
    return metric.get("low") is not None and metric.get("high") is not None


def _signed(metric: Mapping[str, Any], sign: float) -> tuple[float, float, float]:
    """Value, lower and upper limit, turned so that more is better."""
    value = float(metric["value"])
    low, high = (metric["low"], metric["high"]) if _has_interval(metric) else (value, value)
    # A bootstrap may leave the value outside its limits by a rounding; a limit never lies on the wrong side here.
    low, high = min(float(low), value), max(float(high), value)
    return (value, low, high) if sign > 0 else (-value, -high, -low)
