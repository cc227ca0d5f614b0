"""When expressions fire, above all on the two days of the year on which clocks change."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import InvalidRequest
from core.schedules.cron import check_cron, check_zone, in_words, next_fire_time, next_fire_times

BERLIN = "Europe/Berlin"


def fires(cron: str, after: str, count: int, zone: str = BERLIN) -> list[str]:
    """Fire times in UTC after a moment in UTC, as `month-day hour:minute`."""
    times = next_fire_times(cron, zone, datetime.fromisoformat(f"{after}+00:00"), count)
    return [at.strftime("%m-%d %H:%M") for at in times]


def test_a_time_that_the_spring_leaves_out_fires_at_the_moment_of_the_change() -> None:
    # 29 March 2026: 02:00 becomes 03:00, at 01:00 UTC.
    assert fires("30 2 * * *", "2026-03-27T12:00", 3) == ["03-28 01:30", "03-29 01:00", "03-30 00:30"]


def test_a_time_that_comes_twice_in_autumn_fires_the_first_time_only() -> None:
    # 25 October 2026: 03:00 becomes 02:00, at 01:00 UTC.
    assert fires("30 2 * * *", "2026-10-24T12:00", 3) == ["10-25 00:30", "10-26 01:30", "10-27 01:30"]


def test_asked_between_the_two_it_does_not_fire_again_nor_in_the_past() -> None:
    assert fires("30 2 * * *", "2026-10-25T01:10", 1) == ["10-26 01:30"]
    assert fires("30 2 * * *", "2026-10-25T00:30", 1) == ["10-26 01:30"]


def test_two_times_that_become_one_moment_are_one_fire_time() -> None:
    assert fires("0,30 2,3 * * *", "2026-03-28T22:00", 3) == ["03-29 01:00", "03-29 01:30", "03-30 00:00"]


@pytest.mark.parametrize("day", ["2026-03-28T23:00", "2026-10-24T23:00"])
def test_an_expression_for_every_hour_goes_on_evenly_over_both_changes(day: str) -> None:
    times = next_fire_times("0 * * * *", BERLIN, datetime.fromisoformat(f"{day}+00:00"), 6)
    assert {(b - a).total_seconds() for a, b in pairwise(times)} == {3600}


def test_half_an_hour_of_change_is_a_change_as_well() -> None:
    # Lord Howe: 5 April 2026, 02:00 becomes 01:30; 4 October 2026, 02:00 becomes 02:30.
    assert fires("45 1 * * *", "2026-04-04T12:00", 2, "Australia/Lord_Howe") == ["04-04 14:45", "04-05 15:15"]
    assert fires("15 2 * * *", "2026-10-03T12:00", 2, "Australia/Lord_Howe") == ["10-03 15:30", "10-04 15:15"]


@settings(max_examples=60, deadline=None)
@given(
    hour=st.integers(0, 23),
    minute=st.integers(0, 59),
    zone=st.sampled_from([BERLIN, "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca", "UTC"]),
    start=st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1)),
)
def test_a_daily_expression_fires_once_on_every_day_of_the_calendar(
    hour: int, minute: int, zone: str, start: datetime
) -> None:
    times = next_fire_times(f"{minute} {hour} * * *", zone, start.replace(tzinfo=UTC), 400)
    assert times == sorted(set(times))
    days = [at.astimezone(ZoneInfo(zone)).date() for at in times]
    assert len(set(days)) == 400
    assert (days[-1] - days[0]).days == 399
    # Whoever asks anew after each of them is told the same.
    assert next_fire_time(f"{minute} {hour} * * *", zone, times[200]) == times[201]


def test_what_cannot_be_is_refused_in_a_sentence() -> None:
    for cron, said in (
        ("", "has 0"),
        ("* * * * * *", "has 6"),
        ("@daily", "has 1"),
        ("0 24 * * *", "Bad hour"),
        ("0 0 31 2 *", "Bad day-of-month"),
        ("0 0 * * MOO", "Bad day-of-week"),
    ):
        with pytest.raises(InvalidRequest, match=said):
            check_cron(cron, "UTC")
    for zone in ("", "Berlin", "../UTC", "/etc/localtime", "Europe/"):
        with pytest.raises(InvalidRequest, match="no time zone"):
            check_zone(zone)


def test_expressions_are_told_in_words() -> None:
    assert in_words("0 3 * * 1") == "At 03:00, only on Monday"
    assert in_words("*/15 * * * *") == "Every 15 minutes"
    assert check_cron("  0   3 * * mon ", "UTC") == "0 3 * * mon"
