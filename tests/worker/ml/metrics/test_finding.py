"""Matching, verification and retrieval: right for what can be counted by hand, and at chance for noise."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worker.ml.metrics.embeddings import mean_by_person, unit_length
from worker.ml.metrics.intervals import mean_over_people
from worker.ml.metrics.matching import matching
from worker.ml.metrics.retrieval import average_precision, recall_at, recall_in_galleries
from worker.ml.metrics.verification import area_under_curve, scored_pairs, verification

seeds = st.integers(0, 10_000)


def unit(count: int, seed: int, length: int = 8) -> np.ndarray:
    return unit_length(np.random.default_rng(seed).normal(size=(count, length)).astype(np.float32))


def by_hand(scores: np.ndarray, ways: int) -> np.ndarray:
    """Every choice of negatives, one after the other; ties are a guess."""
    won = []
    for query, row in enumerate(scores):
        others = [place for place in range(len(row)) if place != query]
        shares = []
        for chosen in combinations(others, ways - 1):
            rivals = row[list(chosen)]
            shares.append(0.0 if (rivals > row[query]).any() else 1 / (1 + (rivals == row[query]).sum()))
        won.append(np.mean(shares))
    return np.array(won)


@given(seeds, st.integers(2, 4), st.booleans())
@settings(max_examples=30, deadline=None)
def test_matching_agrees_with_counting_all_choices_of_negatives(seed: int, ways: int, ties: bool) -> None:
    scores = np.random.default_rng(seed).normal(size=(7, 7))
    if ties:
        scores = scores.round()
    people = np.arange(7)
    found = matching(scores.astype(np.float32), np.eye(7, dtype=np.float32), people, people, ways)
    assert found == pytest.approx(by_hand(scores.astype(np.float32), ways))


def test_drawing_by_lot_comes_to_the_same_as_all_choices() -> None:
    people = np.arange(30)
    voices, faces = unit(30, 1), unit(30, 1) + 0.6 * unit(30, 2)
    exact = matching(voices, faces, people, people, 5)
    # Everybody's face twice: the same faces to choose among, but now negatives are drawn.
    drawn = matching(voices, np.repeat(faces, 2, axis=0), people, np.repeat(people, 2), 5, trials=4000)
    assert np.abs(drawn - exact).max() < 0.04
    assert drawn.mean() == pytest.approx(exact.mean(), abs=0.005)


@pytest.mark.parametrize("several", [1, 3])
@pytest.mark.parametrize("ways", [2, 10])
def test_unrelated_embeddings_match_as_often_as_guessing(ways: int, several: int) -> None:
    people = np.arange(300)
    owners = np.repeat(people, several)
    won = matching(unit(300, 3), unit(300 * several, 4), people, owners, ways, trials=20)
    value, low, high, count = mean_over_people(won, people, share=True)
    assert low < 1 / ways < high
    assert abs(value - 1 / ways) < 0.07 and count == 300


def test_equal_embeddings_always_match_and_empty_ones_are_guesses() -> None:
    faces, people = unit(20, 5), np.arange(20)
    assert (matching(faces, faces, people, people, 10) == 1).all()
    nothing = np.zeros_like(faces)
    assert matching(nothing, faces, people, people, 10) == pytest.approx(np.full(20, 0.1))


def test_rivals_of_the_same_group_are_chosen_where_asked_and_strangers_to_groups_stay_out() -> None:
    people = np.arange(6)
    groups = np.array([0, 0, 0, 1, 1, -1])
    # Everybody is mistaken for somebody of the other group only.
    scores = np.eye(6) + 2 * (groups[:, None] != groups[None])
    scores = scores.astype(np.float32)
    identity = np.eye(6, dtype=np.float32)
    same = matching(scores, identity, people, people, 2, groups=groups)
    assert np.isnan(same[5]) and (same[:5] == 1).all()
    assert np.nanmean(matching(scores, identity, people, people, 2)) < 0.5
    three = matching(scores, identity, people, people, 3, groups=groups)
    assert (three[:3] == 1).all() and np.isnan(three[3:]).all(), "two people are too few for three ways"


def test_trials_are_the_same_for_the_same_seed_and_no_others_query_moves_them() -> None:
    people, owners = np.arange(12), np.repeat(np.arange(12), 2)
    voices, faces = unit(12, 6), unit(24, 7)
    first = matching(voices, faces, people, owners, 4, trials=10, seed=3)
    assert (first == matching(voices, faces, people, owners, 4, trials=10, seed=3)).all()
    assert (first[:5] == matching(voices[:5], faces, people[:5], owners, 4, trials=10, seed=3)).all()
    assert (first != matching(voices, faces, people, owners, 4, trials=10, seed=4)).any()


def test_the_area_under_the_curve_is_the_share_of_pairs_in_order() -> None:
    positives, negatives = np.array([0.9, 0.5, 0.1]), np.array([0.5, 0.2])
    assert area_under_curve(positives, negatives) == pytest.approx((2 + 1.5 + 0) / 6)


@given(seeds)
@settings(max_examples=20, deadline=None)
def test_the_area_agrees_with_comparing_all_pairs(seed: int) -> None:
    chance = np.random.default_rng(seed)
    positives, negatives = chance.integers(0, 6, 9).astype(float), chance.integers(0, 6, 14).astype(float)
    difference = positives[:, None] - negatives[None]
    wanted = ((difference > 0) + 0.5 * (difference == 0)).mean()
    assert area_under_curve(positives, negatives) == pytest.approx(wanted)


def test_verification_is_perfect_for_equal_embeddings_and_a_guess_for_unrelated_ones() -> None:
    people, faces = np.arange(60), unit(60, 8)
    assert verification(scored_pairs(faces, faces, people, people)).value == 1
    guess = verification(scored_pairs(unit(60, 9), faces, people, people))
    assert guess.low < 0.5 < guess.high and 0.05 < guess.high - guess.low < 0.3


def test_verification_within_groups_takes_no_pair_across_them() -> None:
    people, groups = np.arange(10), np.array([0, 1] * 5)
    pairs = scored_pairs(unit(10, 1), unit(10, 2), people, people, groups=groups)
    assert (groups[pairs.first] == groups[pairs.second]).all() and len(pairs.first) == 50


def test_recall_and_average_precision_are_those_of_a_ranking_by_hand() -> None:
    gallery = np.eye(4, dtype=np.float32)
    queries = np.array([[0.9, 0.5, 0.1, 0.0], [0.8, 0.6, 0.7, 0.0], [0.5, 0.5, 0.5, 0.1]], dtype=np.float32)
    own = np.array([0, 1, 2])
    recalls = recall_at(queries, gallery, own, (1, 2, 3))
    assert recalls[1] == pytest.approx([1, 0, 1 / 3])
    assert recalls[2] == pytest.approx([1, 0, 2 / 3])
    assert recalls[3] == pytest.approx([1, 1, 1])
    owners = np.array([0, 1, 0, 1])  # two faces of each of two people
    precision = average_precision(queries[:2], gallery, np.array([0, 1]), owners)
    # The first ranks 0, 1, 0, 1; the second 0, 0, 1, 1.
    assert precision == pytest.approx([(1 + 2 / 3) / 2, (1 / 3 + 2 / 4) / 2])


def test_recall_of_unrelated_embeddings_is_that_of_guessing() -> None:
    people = np.arange(400)
    recalls = recall_at(unit(400, 11), unit(400, 12), people, (1, 10, 400))
    assert recalls[10].mean() == pytest.approx(10 / 400, abs=0.02)
    assert (recalls[400] == 1).all()


def test_galleries_of_a_hundred_are_searched_apart() -> None:
    assert recall_in_galleries(unit(99, 1), unit(99, 1), np.arange(99)) is None
    faces = unit(250, 13)
    faces[150] = faces[50]  # a double in another gallery does no harm
    recalls = recall_in_galleries(faces, faces, np.arange(250))
    assert recalls is not None
    assert len(recalls[1]) == 200 and (recalls[1] == 1).all(), "the last fifty people are in no gallery"


def test_the_mean_face_of_a_person_is_the_mean_of_directions() -> None:
    vectors = np.array([[2, 0], [0, 1], [0, -3]], dtype=np.float32)
    means = mean_by_person(vectors, np.array([0, 0, 2]), 3)
    assert means == pytest.approx(np.array([[0.5**0.5, 0.5**0.5], [0, 0], [0, -1]]))
