"""Intervals hold what they promise, and are over people."""

from __future__ import annotations

import numpy as np
import pytest

from worker.ml.metrics.diversity import (
    identity_variation,
    inter_human_similarity,
    mean_over_pairs,
    some_pairs,
)
from worker.ml.metrics.intervals import bootstrap, mean_over_people, wilson


def test_wilsons_interval_is_the_published_one() -> None:
    # E. B. Wilson's formula at z = 1.96 for 8 of 10 and for none of 10, worked out by hand.
    assert wilson(8, 10) == pytest.approx((0.4902, 0.9433), abs=1e-4)
    assert wilson(0, 10) == pytest.approx((0.0, 0.2775), abs=1e-4)
    assert np.isnan(wilson(0, 0)).all()


def test_intervals_cover_the_truth_about_nineteen_times_of_twenty() -> None:
    chance = np.random.default_rng(0)
    wilson_holds, bootstrap_holds = 0, 0
    for run in range(200):
        answers = (chance.random(40) < 0.7).astype(float)
        low, high = wilson(answers.sum(), 40)
        wilson_holds += low <= 0.7 <= high
        low, high = bootstrap(chance.normal(1.0, 1.0, 60), seed=run, resamples=200)
        bootstrap_holds += low <= 1.0 <= high
    assert 0.90 <= wilson_holds / 200 <= 0.99
    assert 0.89 <= bootstrap_holds / 200 <= 0.99


def test_clips_of_one_person_are_one_witness() -> None:
    values = np.array([1.0, 1.0, 1.0, 0.0])
    owners = np.array([7, 7, 7, 9])
    interval = mean_over_people(values, owners, share=True)
    assert interval.value == 0.5 and interval.people == 2
    assert interval[1:3] == wilson(1, 2)
    many = mean_over_people(np.repeat(values, 50), np.repeat(owners, 50), share=True)
    assert many == interval, "more clips of the same two people make nothing surer"


def test_what_was_not_measured_counts_for_nobody() -> None:
    interval = mean_over_people(np.array([0.2, np.nan, 0.6]), np.array([0, 1, 2]))
    assert interval.value == pytest.approx(0.4) and interval.people == 2
    assert np.isnan(mean_over_people(np.array([np.nan])).value)


def test_agreement_of_all_has_an_interval_of_some_width() -> None:
    assert mean_over_people(np.ones(20), share=True).low < 0.9


def test_pairs_are_resampled_by_their_people() -> None:
    pairs = some_pairs(12, 0)
    assert len(pairs) == 66 and len(some_pairs(200, 0)) == 5000
    # One person is far from all: 11 of 66 pairs, but only one witness of twelve.
    values = np.where((pairs == 0).any(axis=1), 1.0, 0.0)
    interval = mean_over_pairs(values, pairs)
    assert interval.value == pytest.approx(11 / 66)
    assert interval.low == 0 and interval.high > 0.35


def test_intervals_of_means_between_people_cover_the_truth_as_well() -> None:
    # Independent vectors around (1, 0, 0): the cosine of two is 1 on the average, and its distance 0. Half as wide, as
    # they are where rows of the table pass for independent, intervals would hold it in two of three runs.
    chance = np.random.default_rng(0)
    middle = np.array([1.0, 0.0, 0.0])
    apart_holds, across_holds = 0, 0
    for _ in range(100):
        true = middle + chance.normal(size=(40, 3))
        apart = identity_variation(true.astype(np.float32))
        apart_holds += apart.low <= 0 <= apart.high
        across = inter_human_similarity((true + 0.3 * chance.normal(size=(40, 3))).astype(np.float32), true)
        across_holds += across.low <= 1 <= across.high
    assert 88 <= apart_holds <= 99
    assert 88 <= across_holds <= 99


def test_one_person_unlike_all_others_is_one_witness_of_how_people_differ() -> None:
    vectors = np.tile(np.array([1.0, 0.0], dtype=np.float32), (12, 1))
    vectors[0] = (0.0, 1.0)
    found = identity_variation(vectors)
    assert found.value == pytest.approx(11 / 66)
    assert found.low == 0 and found.high > 0.35
