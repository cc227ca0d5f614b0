"""The split: fractions come out as asked, in the whole and in every group, and by nothing but the seed."""

from __future__ import annotations

import math
from collections import Counter, defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.datasets.recipes import SPLITS, SplitRecipe
from core.datasets.splits import age_group, label_of, split_people


def people(count: int, **attributes: str) -> dict[str, dict[str, str]]:
    return {f"p{number:04}": dict(attributes) for number in range(count)}


def counts(parts: dict[str, str]) -> tuple[int, ...]:
    return tuple(Counter(parts.values())[split] for split in SPLITS)


def test_eight_tenths_are_eight_tenths() -> None:
    assert counts(split_people(people(1000), SplitRecipe())) == (800, 100, 100)
    assert counts(split_people(people(80), SplitRecipe())) == (64, 8, 8)


def test_everybody_is_in_exactly_one_part() -> None:
    parts = split_people(people(37), SplitRecipe())
    assert sorted(parts) == sorted(people(37))
    assert sum(counts(parts)) == 37


def test_the_mix_of_attributes_is_the_same_in_every_part() -> None:
    everybody = {f"m{n}": {"gender": "male"} for n in range(300)} | {
        f"f{n}": {"gender": "female"} for n in range(100)
    }
    parts = split_people(everybody, SplitRecipe(by=("gender",)))
    assert counts({name: part for name, part in parts.items() if name[0] == "m"}) == (240, 30, 30)
    assert counts({name: part for name, part in parts.items() if name[0] == "f"}) == (80, 10, 10)


def test_what_nobody_told_is_a_group_of_its_own_and_no_guess() -> None:
    everybody = {f"m{n}": {"gender": "male"} for n in range(20)} | {f"u{n}": {} for n in range(20)}
    parts = split_people(everybody, SplitRecipe(by=("gender",)))
    assert counts({name: part for name, part in parts.items() if name[0] == "u"}) == (16, 2, 2)
    assert label_of({"gender": ""}, ("gender", "age")) == ("unknown", "unknown")


def test_rare_groups_are_put_together_and_still_reach_every_part() -> None:
    everybody = {f"p{n}": {"nationality": f"country {n}"} for n in range(50)}
    assert counts(split_people(everybody, SplitRecipe(by=("nationality",)))) == (40, 5, 5)


def test_ages_in_years_are_grouped() -> None:
    assert [age_group(age) for age in ("0", "17.9", "18", "29", "30", "44", "45", "99")] == [
        *("0-17", "0-17", "18-29", "18-29", "30-44", "30-44", "45+", "45+")
    ]
    assert age_group("adult") == "adult"
    assert age_group("nan") == age_group("-3") == "unknown"
    assert label_of({"age_estimated": "33"}, ("age_estimated",)) == ("30-44",)
    assert label_of({"language": "33"}, ("language",)) == ("33",)


def test_a_fraction_of_nothing_takes_nobody() -> None:
    parts = split_people(people(11), SplitRecipe(train=0.5, validation=0, test=0.5, by=()))
    assert "validation" not in parts.values()


def test_another_seed_chooses_other_people_and_as_many() -> None:
    first, second = (split_people(people(200), SplitRecipe(seed=seed)) for seed in (1, 2))
    assert first != second
    assert counts(first) == counts(second)


def test_the_order_of_people_does_not_matter() -> None:
    everybody = {f"p{n}": {"gender": "mf"[n % 2], "age": str(n % 70)} for n in range(200)}
    recipe = SplitRecipe(by=("gender", "age"))
    assert split_people(dict(reversed(everybody.items())), recipe) == split_people(everybody, recipe)


def test_the_split_is_the_same_for_ever() -> None:
    parts = split_people(people(10), SplitRecipe(train=0.6, validation=0.2, test=0.2))
    assert [name for name in sorted(parts) if parts[name] == "test"] == ["p0004", "p0008"]


@given(
    st.lists(st.integers(3, 25), min_size=1, max_size=12),
    st.tuples(st.integers(0, 100), st.integers(0, 100), st.integers(0, 100)).filter(any),
    st.integers(0, 2**32 - 1),
)
def test_every_group_and_the_whole_are_within_one_person_of_their_share(
    sizes: list[int], weights: tuple[int, int, int], seed: int
) -> None:
    shares = [weight / sum(weights) for weight in weights]
    everybody = {
        f"{group}-{n}": {"group": str(group)} for group, size in enumerate(sizes) for n in range(size)
    }
    recipe = SplitRecipe(**dict(zip(SPLITS, shares, strict=True)), by=("group",), seed=seed)
    parts = split_people(everybody, recipe)
    groups: dict[str, dict[str, str]] = defaultdict(dict)
    for name, part in parts.items():
        groups[everybody[name]["group"]][name] = part
    assert set(parts) == set(everybody)
    for some in (parts, *groups.values()):
        for count, share in zip(counts(dict(some)), shares, strict=True):
            assert math.isclose(count, len(some) * share, abs_tol=1 - 1e-4), (count, len(some) * share)


@pytest.mark.parametrize("count", range(1, 12))
def test_a_handful_of_people_is_divided_too(count: int) -> None:
    parts = split_people(people(count), SplitRecipe())
    assert all(
        abs(have - count * share) < 1 for have, share in zip(counts(parts), (0.8, 0.1, 0.1), strict=True)
    )
