"""Identifiers are unique and sort by when they were made."""

from __future__ import annotations

import re
import time

from core.identifiers import new_id, new_ids


def test_an_identifier_is_its_prefix_and_26_characters_that_nobody_misreads() -> None:
    assert all(re.fullmatch(r"job_[0-7][0-9a-hjkmnp-tv-z]{25}", new_id("job")) for _ in range(200))


def test_ten_thousand_identifiers_are_all_different() -> None:
    assert len({new_id("item") for _ in range(10_000)}) == 10_000


def test_identifiers_sort_by_the_millisecond_they_were_made_in() -> None:
    made = []
    for _ in range(5):
        made.append(new_id("job"))
        time.sleep(0.002)
    assert sorted(made) == made


def test_the_first_ten_characters_are_the_time() -> None:
    before = time.time_ns() // 1_000_000
    digits = new_id("job").removeprefix("job_")[:10]
    after = time.time_ns() // 1_000_000
    milliseconds = sum(
        "0123456789abcdefghjkmnpqrstvwxyz".index(one) << 5 * (9 - at) for at, one in enumerate(digits)
    )
    assert before <= milliseconds <= after


def test_identifiers_made_at_once_are_like_those_made_one_by_one() -> None:
    at_once = new_ids("artifact", 1000)
    assert len(set(at_once)) == 1000
    assert all(re.fullmatch(r"artifact_[0-7][0-9a-hjkmnp-tv-z]{25}", one) for one in at_once)
    assert new_ids("artifact", 0) == []
