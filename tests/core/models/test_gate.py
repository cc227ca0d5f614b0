"""The gate: what shuts it, what opens it, and that every verdict says why."""

from __future__ import annotations

import random
from math import sqrt

import pytest

from core.errors import InvalidRequest, LeaseLost
from core.ledger.tables import Attempt, DatasetVersion, ModelVersion
from core.ledger.training_tables import Evaluation
from core.models.comparison import compare_versions
from core.models.evaluations import (
    conditions_sha256,
    enter_evaluation,
    evaluation_of,
    evaluations_of,
    headline,
)
from core.models.gate import Verdict, difference, judge, to_measure_first
from core.models.promotion import promote
from core.models.registry import PRODUCTION
from core.states import AttemptState
from core.training.specs import EvaluateSpec, Gate
from tests.core.models.registry_place import Registry, metric, on_sqlite

MATCHING = "matching.voice_to_face.2"


@pytest.fixture
def dataset(registry: Registry) -> DatasetVersion:
    return registry.dataset()


@pytest.fixture
def rivals(registry: Registry) -> tuple[ModelVersion, ModelVersion]:
    """A candidate, and what is in production."""
    candidate, production = registry.model("drawer", b"new"), registry.model("drawer", b"old")
    with registry.ledger.database.write() as session:
        promote(session, PRODUCTION, production, actor="user_ada")
    return candidate, production


def ask(
    registry: Registry, candidate: ModelVersion, evaluation: Evaluation | None, name: str = MATCHING
) -> Verdict:
    with registry.ledger.database.read() as session:
        return judge(session, candidate, Gate(metric=name), evaluation)


_CASES = [
    # Both intervals are ±0.04, so that of the difference is ±0.0566.
    (metric(0.75, 0.71, 0.79), metric(0.80, 0.76, 0.84), True, "not worse by more than its interval"),
    (metric(0.74, 0.70, 0.78), metric(0.80, 0.76, 0.84), False, "worse by more than its interval"),
    (metric(0.86, 0.82, 0.90), metric(0.80, 0.76, 0.84), True, "better by more than chance explains"),
    (metric(0.80, 0.76, 0.84), metric(0.80, 0.76, 0.84), True, "not worse by more"),
    # The same where less is better.
    (metric(0.45, 0.41, 0.49, "lower"), metric(0.40, 0.36, 0.44, "lower"), True, "not worse by more"),
    (metric(0.46, 0.42, 0.50, "lower"), metric(0.40, 0.36, 0.44, "lower"), False, "worse by more"),
    (metric(0.34, 0.30, 0.38, "lower"), metric(0.40, 0.36, 0.44, "lower"), True, "better by more"),
    # Without intervals nothing is known of chance.
    (metric(90.0, better="lower"), metric(90.1, better="lower"), True, "not be worse at all, and is not"),
    (metric(90.2, better="lower"), metric(90.1, better="lower"), False, "must not be worse at all."),
]


@on_sqlite
def test_a_version_is_refused_where_it_is_worse_by_more_than_chance_explains(
    registry: Registry, rivals: tuple[ModelVersion, ModelVersion]
) -> None:
    candidate, production = rivals
    for number, (mine, theirs, passed, words) in enumerate(_CASES, start=1):
        dataset = registry.dataset(version=number)
        registry.evaluation(production, dataset, {MATCHING: theirs})
        verdict = ask(registry, candidate, registry.evaluation(candidate, dataset, {MATCHING: mine}))
        assert (verdict.passed, words in verdict.sentence) == (passed, True), verdict.sentence
        assert (verdict.candidate, verdict.production) == (mine["value"], theirs["value"])
        assert verdict.interval is not None
        assert (verdict.interval[1] >= 0) is passed
        assert verdict.to_dict()["passed"] is passed


def test_a_difference_uses_the_sides_of_the_intervals_that_face_each_other() -> None:
    found = difference(metric(0.5, 0.47, 0.6), metric(0.7, 0.5, 0.74))
    assert found.value == pytest.approx(-0.2)
    assert found.low == pytest.approx(-0.2 - 0.05)  # 0.03 below the one, 0.04 above the other
    assert found.high == pytest.approx(-0.2 + (0.1**2 + 0.2**2) ** 0.5)
    turned = difference(metric(0.7, 0.5, 0.74), metric(0.5, 0.47, 0.6))
    assert (turned.low, turned.high) == (pytest.approx(-found.high), pytest.approx(-found.low))


def test_a_version_as_good_as_the_other_is_rarely_refused() -> None:
    """Shares of 200 cases with Wilson intervals, drawn again and again from the same truth."""
    chance = random.Random(1)

    def measured() -> dict[str, object]:
        count, right = 200, sum(chance.random() < 0.7 for _ in range(200))
        share, z = right / count, 1.96
        middle = (share + z * z / (2 * count)) / (1 + z * z / count)
        half = z * sqrt(share * (1 - share) / count + z * z / (4 * count**2)) / (1 + z * z / count)
        return metric(share, middle - half, middle + half)

    refused = sum(difference(measured(), measured()).high < 0 for _ in range(2000)) / 2000
    assert 0.01 < refused < 0.04  # one in 40 is what is promised


@on_sqlite
def test_what_cannot_be_compared_is_decided_and_said(
    registry: Registry, dataset: DatasetVersion, rivals: tuple[ModelVersion, ModelVersion]
) -> None:
    candidate, production = rivals
    good = {MATCHING: metric(0.8, 0.7, 0.9)}
    verdict = ask(registry, candidate, None)
    assert (verdict.passed, "was not measured" in verdict.sentence) == (False, True)
    verdict = ask(registry, candidate, registry.evaluation(candidate, dataset, {"ssim": metric(0.5)}))
    assert (verdict.passed, "could not be measured for drawer@1" in verdict.sentence) == (False, True)
    evaluation = registry.evaluation(candidate, dataset, good)
    verdict = ask(registry, candidate, evaluation)
    assert (
        verdict.passed,
        "was not measured on clips@1, test. Evaluate it there first" in verdict.sentence,
    ) == (
        False,
        True,
    )
    registry.evaluation(production, registry.dataset("others"), good)
    registry.evaluation(production, dataset, good, split="validation")
    registry.evaluation(production, dataset, good, most_people=5)
    verdict = ask(registry, candidate, evaluation)
    assert (verdict.passed, "which cannot be compared" in verdict.sentence) == (False, True)
    registry.evaluation(production, dataset, {"ssim": metric(0.5)})
    verdict = ask(registry, candidate, evaluation)
    assert (verdict.passed, "nothing says that it is better" in verdict.sentence) == (True, True)
    registry.evaluation(production, dataset, {MATCHING: metric(0.8, 0.7, 0.9, "lower")})
    verdict = ask(registry, candidate, evaluation)
    assert (verdict.passed, "means different things" in verdict.sentence) == (False, True)


@on_sqlite
def test_the_first_version_and_another_kind_of_input_pass(
    registry: Registry, dataset: DatasetVersion
) -> None:
    first = registry.model("drawer", b"first")
    evaluation = registry.evaluation(first, dataset, {MATCHING: metric(0.5, 0.4, 0.6)})
    verdict = ask(registry, first, evaluation)
    assert (verdict.passed, "There is no production yet" in verdict.sentence) == (True, True)
    with registry.ledger.database.write() as session:
        promote(session, PRODUCTION, first, actor="user_ada")
    verdict = ask(registry, first, evaluation)
    assert (verdict.passed, "It is production already" in verdict.sentence) == (True, True)
    ears, _ = registry.halves()
    verdict = ask(registry, ears, None)
    assert (verdict.passed, "draws nothing by itself" in verdict.sentence) == (True, True)


def test_what_must_be_measured_first_is_named(
    registry: Registry, dataset: DatasetVersion, rivals: tuple[ModelVersion, ModelVersion]
) -> None:
    candidate, production = rivals
    conditions = conditions_sha256(EvaluateSpec(model="x", dataset="y"))

    def first(one: ModelVersion, gate: Gate) -> str | None:
        with registry.ledger.database.read() as session:
            found = to_measure_first(session, one, gate, dataset=dataset, spec_sha256=conditions)
            return found.label if found is not None else None

    assert first(candidate, Gate()) == production.label
    assert first(production, Gate()) is None
    assert first(candidate, Gate(alias="nowhere")) is None
    registry.evaluation(production, dataset, {MATCHING: metric(0.5)})
    assert first(candidate, Gate()) is None


def test_measuring_again_takes_the_place_of_the_numbers_and_keeps_the_id(
    registry: Registry, dataset: DatasetVersion
) -> None:
    model = registry.model("drawer")
    first = registry.evaluation(model, dataset, {MATCHING: metric(0.5)})
    again = registry.evaluation(model, dataset, {MATCHING: metric(0.6)})
    other = registry.evaluation(model, dataset, {MATCHING: metric(0.7)}, seed=1)
    assert (again.id, again.job_id != first.job_id) == (first.id, True)
    with registry.ledger.database.read() as session:
        assert [found.id for found, _ in evaluations_of(session, model)] == [other.id, first.id]
        kept = evaluation_of(session, model, dataset, first.spec_sha256)
        assert kept is not None
        assert kept.metrics[MATCHING]["value"] == 0.6


@on_sqlite
def test_an_evaluation_is_entered_by_a_living_attempt_and_with_real_numbers_only(
    registry: Registry, dataset: DatasetVersion
) -> None:
    model = registry.model("drawer")
    spec = EvaluateSpec(model="drawer", dataset="clips")
    attempt = registry.attempt(registry.job(spec))

    def enter(metrics: dict[str, object]) -> None:
        with registry.ledger.database.write() as session:
            enter_evaluation(
                session, attempt_id=attempt.id, version=model, dataset=dataset, spec=spec, metrics=metrics
            )

    for wrong in ({"value": None}, {"value": float("nan")}, {"value": 0.5, "better": "more"}):
        with pytest.raises(InvalidRequest, match="The metric ssim"):
            enter({"ssim": {"better": "higher", **wrong}})
    with registry.ledger.database.write() as session:
        held = session.get(Attempt, attempt.id)
        assert held is not None
        held.state = AttemptState.LOST
    with pytest.raises(LeaseLost):
        enter({"ssim": metric(0.5)})
    with registry.ledger.database.read() as session:
        assert evaluations_of(session, model) == []


@on_sqlite
def test_two_versions_are_compared_only_under_the_same_conditions(
    registry: Registry, dataset: DatasetVersion, rivals: tuple[ModelVersion, ModelVersion]
) -> None:
    one, other = rivals
    registry.evaluation(one, dataset, {MATCHING: metric(0.8, 0.7, 0.9), "ssim": metric(0.3, 0.29, 0.31)})
    registry.evaluation(other, dataset, {MATCHING: metric(0.7, 0.6, 0.8), "ssim": metric(0.4, 0.39, 0.41)})
    registry.evaluation(one, dataset, {MATCHING: metric(0.9)}, split="train")
    with registry.ledger.database.read() as session:
        (compared,) = compare_versions(session, one, other)
    assert [(found.name, found.better, found.certain) for found in compared.metrics] == [
        (MATCHING, "first", False),
        ("ssim", "second", True),
    ]


def test_the_headline_is_the_metric_that_says_most() -> None:
    found = headline({"ssim": metric(0.5), MATCHING: metric(0.8), "own": metric(1.0)})
    assert found is not None
    assert found[0] == MATCHING
    assert headline({}) is None
