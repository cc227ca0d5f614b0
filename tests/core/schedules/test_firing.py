"""Schedules fire when they should, as often as they should, and never twice."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select

from core.config import Settings
from core.ledger.database import Database
from core.ledger.schedule_tables import ScheduleRun
from core.schedules.firing import fire_due, times_due
from core.schedules.specs import ScheduleChange
from core.schedules.steering import edit_schedule, pause_schedule, remove_schedule, resume_schedule, run_now
from core.states import JobState
from core.store import Store
from tests.core.schedules.scheduling_place import NOON, SchedulingPlace
from tests.factories import Ledger

REPOSITORY = Path(__file__).resolve().parents[3]


@pytest.fixture
def place(ledger: Ledger, store: Store, settings: Settings) -> SchedulingPlace:
    return SchedulingPlace(ledger, store, settings)


def test_it_fires_when_its_time_has_come_and_says_when_it_fires_next(place: SchedulingPlace) -> None:
    schedule = place.schedule()
    place.round(minutes=59)
    assert place.runs() == []
    place.round(minutes=1, seconds=3)
    (run,) = place.runs()
    assert (run.fire_time, run.why, run.state.value) == (NOON + timedelta(hours=1), "cron", "preparing")
    place.round(minutes=1)
    assert len(place.runs()) == 1
    assert place.reload(schedule).next_fire_at == NOON + timedelta(hours=2)
    assert place.reload(schedule).last_fired_at == run.fire_time


def test_many_tickers_in_threads_fire_each_time_once(place: SchedulingPlace) -> None:
    for number in range(3):
        place.schedule(f"s{number}", overlap="queue", catch_up="all", cron="* * * * *")
    place.clock.move(minutes=5)
    start = threading.Barrier(6)
    failures: list[Exception] = []

    def tick() -> None:
        database = Database(place.settings.database_url)
        try:
            start.wait()
            for _ in range(3):
                fire_due(database, clock=place.clock)
        except Exception as error:  # noqa: BLE001 - told below
            failures.append(error)
        finally:
            database.dispose()

    threads = [threading.Thread(target=tick) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    fired = Counter((run.schedule_id, run.fire_time) for run in place.runs())
    assert set(fired.values()) == {1}
    assert len(fired) == 15


def test_several_processes_fire_each_time_once(place: SchedulingPlace) -> None:
    for number in range(4):
        place.schedule(f"s{number}", overlap="queue", catch_up="all", cron="* * * * *")
    program = (
        "import sys\nfrom datetime import datetime, timedelta\nfrom core.ledger.database import Database\n"
        "from core.schedules.firing import fire_due\n"
        "database, at = Database(sys.argv[1]), datetime.fromisoformat(sys.argv[2])\n"
        "for minute in range(4):\n"
        "    fire_due(database, clock=lambda session: at + timedelta(minutes=minute))\n"
    )
    command = [sys.executable, "-c", program, place.settings.database_url, NOON.isoformat()]
    children = [subprocess.Popen(command, cwd=REPOSITORY, stderr=subprocess.PIPE) for _ in range(2)]
    for child in children:
        _, errors = child.communicate(timeout=60)
        assert child.returncode == 0, errors.decode()
    with place.database.read() as session:
        total = session.scalar(select(func.count()).select_from(ScheduleRun))
    fired = {(run.schedule_id, run.fire_time) for run in place.runs()}
    assert (total, len(fired)) == (12, 12)


@pytest.mark.parametrize(
    ("catch_up", "fired", "left_out"),
    [("none", [], 5), ("last", [17], 4), ("all", [13, 14, 15, 16, 17], 0)],
)
def test_after_a_downtime_as_many_are_made_up_for_as_was_said(
    catch_up: str, fired: list[int], left_out: int
) -> None:
    first, at = NOON + timedelta(hours=1), NOON + timedelta(hours=5, minutes=30)
    times, missed = times_due("0 * * * *", "UTC", first, at, catch_up)
    assert ([time.hour for time in times], missed) == (fired, left_out)


def test_a_time_that_is_a_little_late_is_not_missed() -> None:
    first = NOON + timedelta(hours=1)
    for late, fired in ((timedelta(minutes=4), 1), (timedelta(minutes=6), 0)):
        times, _ = times_due("0 * * * *", "UTC", first, first + late, "none")
        assert len(times) == fired


def test_a_year_of_minutes_is_caught_up_with_no_more_than_a_thousand_runs() -> None:
    first = datetime(2026, 1, 1, tzinfo=UTC)
    times, missed = times_due("*/10 * * * *", "UTC", first, first + timedelta(days=30), "all")
    assert (len(times), missed) == (1000, 30 * 144 + 1 - 1000)
    assert times[-1] == first + timedelta(days=30)


def test_what_was_left_out_is_told_by_the_run_that_makes_up_for_it(place: SchedulingPlace) -> None:
    schedule = place.schedule(catch_up="last")
    place.round(hours=4, minutes=30)
    (run,) = place.runs()
    assert run.fire_time == NOON + timedelta(hours=4)
    assert run.reason == "3 earlier times were missed and left out."
    assert place.reload(schedule).next_fire_at == NOON + timedelta(hours=5)


@pytest.mark.parametrize(("catch_up", "runs"), [("none", 0), ("last", 1), ("all", 3)])
def test_a_pause_is_a_downtime_of_ones_own(place: SchedulingPlace, catch_up: str, runs: int) -> None:
    schedule = place.schedule(catch_up=catch_up, overlap="queue")
    pause_schedule(place.database, place.user, "weekly", clock=place.clock)
    place.round(hours=3, minutes=2)
    assert place.runs() == []
    resume_schedule(place.database, place.user, "weekly", clock=place.clock)
    place.round()
    assert len(place.runs()) == runs
    assert place.reload(schedule).next_fire_at == NOON + timedelta(hours=4)


def test_a_run_that_overlaps_is_skipped_and_says_so(place: SchedulingPlace) -> None:
    place.schedule(overlap="skip")
    place.round(hours=1)
    place.round(hours=1)
    assert place.states() == ["preparing", "skipped"]
    assert place.runs()[1].reason == "Another run of this schedule was under way."


def test_a_run_that_overlaps_waits_until_the_one_before_has_ended(place: SchedulingPlace) -> None:
    place.schedule(overlap="queue")
    for _ in range(3):
        place.round(hours=1)
    assert place.states() == ["preparing", "queued", "queued"]
    place.end_jobs(JobState.FAILED, "The disk is full.")
    place.round()
    place.round()
    assert place.states() == ["failed", "preparing", "queued"]
    assert place.runs()[0].reason == "Its preparation failed. The disk is full."


def test_a_run_that_replaces_another_cancels_its_job_and_waits_until_it_has_stopped(
    place: SchedulingPlace,
) -> None:
    place.schedule(overlap="replace")
    place.round(hours=1)
    chunk = place.ledger.worker()
    with place.database.write() as session:
        from core.claims.leases import claim_chunk

        claimed = claim_chunk(session, chunk, "gpu", size=1, lease_seconds=60)
        assert claimed is not None
    place.round(hours=1)
    assert place.states() == ["cancelled", "queued"]
    assert place.runs()[0].reason == "A newer run took its place."
    assert place.jobs("prepare")[0].state is JobState.CANCELLING
    with place.database.write() as session:
        from core.claims.leases import release

        release(session, claimed.attempt_id, reason="it was cancelled")
    place.round()
    assert place.states() == ["cancelled", "preparing"]


def test_it_fires_as_soon_as_enough_new_pairs_have_arrived(place: SchedulingPlace) -> None:
    place.schedule(new_pairs=5)
    place.round()
    assert place.runs() == []
    place.add_people(2)
    place.round()
    (run,) = place.runs()
    assert (run.why, run.pairs, run.reason) == ("pairs", 5, "5 new pairs have arrived.")
    place.round()
    assert len(place.runs()) == 1


def test_whichever_comes_first_fires_and_what_failed_is_not_tried_without_new_pairs(
    place: SchedulingPlace,
) -> None:
    place.schedule(cron="0 * * * *", new_pairs=4)
    place.round(hours=1)  # by the clock, with three pairs
    place.add_people(1)
    place.round()
    assert [run.why for run in place.runs()] == ["cron"]  # a run is under way
    place.end_jobs(JobState.FAILED)
    place.round()
    place.round(minutes=1)
    assert [run.why for run in place.runs()] == ["cron", "pairs"]
    place.end_jobs(JobState.FAILED)
    place.round()
    place.round(minutes=1)
    assert len(place.runs()) == 2
    place.add_people(1)
    place.round()
    assert [run.why for run in place.runs()] == ["cron", "pairs", "pairs"]


def test_people_with_one_side_are_no_pairs(place: SchedulingPlace) -> None:
    from core.datasets.collections import add_files, find_collection

    place.schedule(new_pairs=4)
    (sha256,) = place.ledger.recordings(1, "olga", "lonely")
    with place.database.write() as session:
        collection = find_collection(session, "people")
        assert collection is not None
        add_files(session, place.user, collection, {"lonely/voice.wav": sha256})
    place.round()
    assert place.runs() == []


def test_an_edit_moves_the_next_time_and_a_removal_ends_everything(place: SchedulingPlace) -> None:
    schedule = place.schedule()
    run_now(place.database, place.user, "weekly", clock=place.clock)
    place.round()
    change = ScheduleChange(cron="30 12 * * *", time_zone="UTC")
    edit_schedule(place.database, place.user, "weekly", change, clock=place.clock)
    assert place.reload(schedule).next_fire_at == NOON + timedelta(minutes=30)
    remove_schedule(place.database, place.user, "weekly", clock=place.clock)
    place.round(days=2)
    assert place.states() == ["cancelled"]
    assert place.jobs("prepare")[0].state is JobState.CANCELLED


def test_a_schedule_that_cannot_fire_keeps_no_other_from_firing(place: SchedulingPlace) -> None:
    from core.ledger.schedule_tables import Schedule

    broken, good = place.schedule("broken"), place.schedule("good")
    with place.database.write() as session:
        session.get_one(Schedule, broken.id).template = {"nothing": "good"}
    place.round(hours=1)
    by_schedule = {run.schedule_id: run.state.value for run in place.runs()}
    assert by_schedule == {broken.id: "queued", good.id: "preparing"}


@pytest.mark.parametrize(
    ("start", "fired"),
    [
        (datetime(2026, 3, 28, 20, tzinfo=UTC), datetime(2026, 3, 29, 1, tzinfo=UTC)),
        (datetime(2026, 10, 24, 20, tzinfo=UTC), datetime(2026, 10, 25, 0, 30, tzinfo=UTC)),
    ],
)
def test_on_both_changing_days_it_fires_once_at_half_past_two(
    place: SchedulingPlace, start: datetime, fired: datetime
) -> None:
    place.clock.at = start
    place.schedule(cron="30 2 * * *", time_zone="Europe/Berlin", overlap="queue", catch_up="all")
    for _ in range(48):  # until 08:00 UTC of the day itself
        place.clock.move(minutes=15)
        fire_due(place.database, clock=place.clock)
    assert [run.fire_time for run in place.runs()] == [fired]
