"""Who is shown with whom: the same on every file system, found at once, and never written down as a list."""

from __future__ import annotations

import itertools
import time
import tracemalloc
from collections import Counter

import numpy as np
import pytest

from worker.ml.pairings import (
    AllToAll,
    AllToOne,
    FaceChoice,
    OneToOne,
    Pair,
    Pairing,
    People,
    Rule,
    make_pairing,
)

# Of six people two have only one side, and one nothing.
VOICES = [3, 0, 2, 1, 5, 0]
FACES = [2, 4, 2, 0, 1, 0]


def plainly(rule: Rule, limit: int = -1) -> list[Pair]:
    """The table of the three rules, as loops."""
    pairs = []
    for identity, (voices, faces) in enumerate(zip(VOICES, FACES, strict=True)):
        if not voices or not faces:
            continue
        if rule == "all_to_all":
            pairs += [Pair(identity, i // faces, i % faces) for i in range(voices * faces)]
        elif rule == "one_to_one":
            pairs += [Pair(identity, i, i) for i in range(min(voices, faces))]
        else:
            kept = voices if limit < 0 else min(voices, limit)
            pairs += [Pair(identity, i, 0) for i in range(kept)]
    return pairs


@pytest.mark.parametrize("compat", [None, "original"])
@pytest.mark.parametrize(
    ("rule", "limit", "count"),
    [
        ("all_to_all", None, 6 + 4 + 5),
        ("one_to_one", None, 2 + 2 + 1),
        ("all_to_one", None, 3 + 2 + 5),
        ("all_to_one", -1, 3 + 2 + 5),
        ("all_to_one", 2, 2 + 2 + 2),
        ("all_to_one", 0, 0),
    ],
)
def test_pairs_are_those_of_the_table(rule: Rule, limit: int | None, count: int, compat: None) -> None:
    pairing = make_pairing(rule, (VOICES, FACES), limit=limit, compat=compat)
    assert len(pairing) == count
    assert list(pairing) == plainly(rule, -1 if limit is None else limit)
    assert [pairing[number - count] for number in range(count)] == list(pairing)


def test_people_with_only_one_side_are_left_out_and_counted() -> None:
    pairing = AllToAll(VOICES, FACES)
    assert pairing.skipped == 3
    assert pairing.identities.tolist() == [0, 2, 4]
    nobody = OneToOne([0, 3], [4, 0])
    assert (len(nobody), nobody.skipped, list(nobody)) == (0, 2, [])
    assert (len(AllToOne([], [])), AllToOne([], []).skipped) == (0, 0)


@pytest.mark.parametrize("number", [15, -16, 10**12])
def test_there_is_no_pair_beyond_the_last(number: int) -> None:
    with pytest.raises(IndexError, match="15 pairs"):
        AllToAll(VOICES, FACES)[number]


def test_a_thousand_million_pairs_take_no_room_and_no_time() -> None:
    voices, faces = np.full(10**6, 100), np.full(10**6, 10)
    tracemalloc.start()
    began = time.perf_counter()
    pairing = AllToAll(voices, faces)
    built = time.perf_counter() - began
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(pairing) == 10**9
    assert built < 2.0
    assert peak < 200e6  # a list of the pairs would be above 8e9
    began = time.perf_counter()
    for number in range(0, 10**9, 10**6 - 1):
        identity, within = divmod(number, 1000)
        assert pairing[number] == Pair(identity, *divmod(within, 10))
    # A search through a million people for each would take minutes.
    assert (time.perf_counter() - began) / 1000 < 2e-3


def test_the_order_of_a_listing_decides_nothing() -> None:
    voices = {"anna": ["c.npy", "a.npy", "b.npy"], "ben": ["2.npy", "1.npy"], "cleo": ["x.npy"]}
    faces = {"ben": ["q.npy"], "anna": ["z.npy", "y.npy"]}
    found = set()
    for order in itertools.permutations(voices):
        for flip in (1, -1):
            people = People.listed(
                {name: voices[name][::flip] for name in order},
                {name: faces[name][::flip] for name in order if name in faces},
            )
            for rule in ("all_to_all", "one_to_one", "all_to_one"):
                found.add((rule, tuple(named(people, make_pairing(rule, people)))))
    assert len(found) == 3
    assert (
        "one_to_one",
        (("anna", "a.npy", "y.npy"), ("anna", "b.npy", "z.npy"), ("ben", "1.npy", "q.npy")),
    ) in found


def test_the_originals_pairs_follow_the_listing() -> None:
    voices = {"ben": ["2.npy", "1.npy"], "dora": ["d.npy"], "anna": ["c.npy", "a.npy", "b.npy"]}
    faces = {"anna": ["z.npy", "y.npy"], "ben": ["q.npy"]}
    people = People.listed(voices, faces, compat="original")
    one_to_one = make_pairing("one_to_one", people, compat="original")
    assert named(people, one_to_one) == [
        ("ben", "2.npy", "q.npy"),  # and 1.npy is dropped
        ("anna", "c.npy", "z.npy"),
        ("anna", "a.npy", "y.npy"),
    ]
    all_to_one = make_pairing("all_to_one", people, compat="original")
    assert named(people, all_to_one) == [
        ("ben", "2.npy", "q.npy"),
        ("ben", "1.npy", "q.npy"),
        ("anna", "c.npy", "z.npy"),
        ("anna", "a.npy", "z.npy"),
        ("anna", "b.npy", "z.npy"),
    ]
    assert one_to_one.skipped == 1


def named(people: People, pairing: Pairing) -> list[tuple[str, str, str]]:
    """Pairs with the names of their files; each has one face."""
    return [
        (people.names[who], people.voices[who][voice], people.faces[who][face])
        for who, voice, face in pairing
        if face is not None
    ]


def test_the_original_draws_nothing_and_averages_nothing() -> None:
    with pytest.raises(ValueError, match="draws nothing"):
        make_pairing("one_to_one", (VOICES, FACES), seed=1, compat="original")
    with pytest.raises(ValueError, match="draws nothing"):
        make_pairing("all_to_one", (VOICES, FACES), face="mean", compat="original")


def test_a_seed_decides_who_is_paired_one_to_one_and_each_is_used_once() -> None:
    voices, faces = [7, 4, 30], [3, 9, 30]
    pairing, again, other = (list(OneToOne(voices, faces, seed)) for seed in (5, 5, 6))
    assert pairing == again
    assert pairing != other
    assert pairing != list(OneToOne(voices, faces))
    for identity, least in enumerate([3, 4, 30]):
        of_one = [pair for pair in pairing if pair.identity == identity]
        assert (
            len(of_one)
            == len({pair.voice for pair in of_one})
            == len({pair.face for pair in of_one})
            == least
        )
        assert all(
            pair.voice < voices[identity] and 0 <= (pair.face or 0) < faces[identity] for pair in of_one
        )


def test_over_many_seeds_everybody_gets_their_turn_with_everybody() -> None:
    together = Counter((pair.voice, pair.face) for seed in range(3000) for pair in OneToOne([5], [3], seed))
    # 9000 pairs over 15 combinations, 600 each; the standard deviation is 24.
    assert len(together) == 15
    assert min(together.values()) > 450 and max(together.values()) < 750


@pytest.mark.parametrize("face", ["first", "mean", "random"])
def test_which_face_all_voices_go_with_can_be_read_from_the_pair(face: FaceChoice) -> None:
    pairs = list(AllToOne([50, 4], [6, 1], face=face, seed=3))
    assert [(pair.identity, pair.voice) for pair in pairs] == [(0, i) for i in range(50)] + [
        (1, i) for i in range(4)
    ]
    faces = {identity: {pair.face for pair in pairs if pair.identity == identity} for identity in (0, 1)}
    expected: dict[str, dict[int, set[int | None]]] = {
        "first": {0: {0}, 1: {0}},
        "mean": {0: {None}, 1: {None}},
        "random": {0: set(range(6)), 1: {0}},
    }
    assert faces == expected[face]
    assert pairs == list(AllToOne([50, 4], [6, 1], face=face, seed=3))


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(ValueError, match="one count of voices"):
        AllToAll([1, 2], [1])
    with pytest.raises(ValueError, match="fewer than no"):
        AllToAll([1, -2], [1, 1])
    with pytest.raises(ValueError, match="no choice of a face"):
        AllToOne([1], [1], face="best")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="no pairing 'some_to_some'"):
        make_pairing("some_to_some", ([1], [1]))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="'anna' is listed twice"):
        People.listed({"anna": ["a", "a"]}, {"anna": ["b"]})
