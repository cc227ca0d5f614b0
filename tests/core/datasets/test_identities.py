"""Ids of people: plain letters, and never one id for two names."""

from __future__ import annotations

import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.datasets.identities import LONGEST_ID, identity_ids, plain_name


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("A.J._Buckley", "A.J._Buckley"),
        ("id10001", "id10001"),
        ("José Núñez", "Jose_Nunez"),
        ("王菲", "WangFei"),
        ("Łukasz", "Lukasz"),
        ("a/b\\c", "a_b_c"),
        ("..", "person"),
        ("", "person"),
        ("___", "person"),
        (".hidden", "hidden"),
        ("con", "person-con"),
        ("Com1.wav", "person-Com1.wav"),
        ("console", "console"),
        ("x" * 200, "x" * LONGEST_ID),
    ],
)
def test_names_become_plain_letters(name: str, plain: str) -> None:
    assert plain_name(name) == plain


def test_two_names_that_become_equal_stay_two_people() -> None:
    ids = identity_ids(["José", "Jose", "Josè"])
    assert ids == {"Jose": "Jose", "Josè": "Jose-2", "José": "Jose-3"}


def test_names_that_differ_in_case_only_stay_apart_on_every_file_system() -> None:
    ids = identity_ids(["ann", "Ann", "ANN"])
    assert len({one.casefold() for one in ids.values()}) == 3


def test_a_number_never_takes_the_name_of_somebody_else() -> None:
    ids = identity_ids(["José", "Jose", "Jose-2"])
    assert ids["Jose-2"] == "Jose-2"
    assert len(set(ids.values())) == 3


def test_long_names_with_the_same_beginning_stay_apart() -> None:
    ids = identity_ids(["x" * 300 + "a", "x" * 300 + "b"])
    assert len(set(ids.values())) == 2
    assert all(len(one) <= LONGEST_ID for one in ids.values())


def test_names_written_with_composed_and_with_separate_accents_are_not_merged() -> None:
    assert len(set(identity_ids(["Jos\u00e9", "Jose\u0301"]).values())) == 2


@given(st.sets(st.text(max_size=12), max_size=12), st.randoms(use_true_random=False))
def test_ids_are_safe_unique_and_independent_of_order(names: set[str], shuffle: random.Random) -> None:
    listed = sorted(names)
    ids = identity_ids(listed)
    assert set(ids) == names
    assert len({one.casefold() for one in ids.values()}) == len(names)
    assert all(
        re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]*", one) and not one.endswith(".") for one in ids.values()
    )
    shuffle.shuffle(listed)
    assert identity_ids(listed) == ids
