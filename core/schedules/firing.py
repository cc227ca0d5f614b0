"""From time passing, and people arriving, to runs of schedules.

Any number may look at once. Whoever takes a schedule's row first enters the runs that are due and says when it fires
next; whoever comes second finds nothing due. The unique pair of schedule and fire time stands behind that.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from core.datasets.collection_planning import count_pairs
from core.datasets.collections import count_files, files_of, find_collection
from core.errors import VoicesketchError
from core.ledger.database import Database, now
from core.ledger.schedule_tables import Schedule, ScheduleRun
from core.schedules.cron import fire_times, next_fire_time
from core.schedules.runs import enter_run, hold_schedule, open_runs
from core.schedules.specs import Retraining, Source
from core.schedules.states import RunState
from core.store import Store

log = structlog.get_logger()

Clock = Callable[[Session], datetime]

# A fire time is missed, rather than a little late, after this long.
GRACE = timedelta(minutes=5)
MOST_CAUGHT_UP = 1000


class Pairs:
    """Counts people with both sides, and remembers it for as long as nothing is added. Of one thread."""

    def __init__(self, database: Database, store: Store) -> None:
        self._database, self._store = database, store
        self._known: dict[tuple[str, str], tuple[int, int]] = {}

    def count(self, source: Source) -> int:
        """People with both a voice and a face in a collection; 0 where there is none.

        Raises:
            InvalidRequest: the layout cannot be told, or a table cannot be used.
            StorageUnavailable: try again later.
        """
        with self._database.read() as session:
            collection = find_collection(session, source.collection)
            if collection is None:
                return 0
            files = count_files(session, collection.id)
            place = (collection.id, source.model_dump_json())
            known = self._known.get(place)
            if known is not None and known[0] == files:
                return known[1]
            listed = list(files_of(session, collection.id))
        pairs = count_pairs(self._store, listed, source)
        self._known[place] = (len(listed), pairs)
        return pairs


def fire_due(database: Database, *, clock: Clock = now) -> int:
    """Enters the runs whose time has come; answers how many."""
    with database.read() as session:
        at = clock(session)
        due = session.execute(
            select(
                Schedule.id, Schedule.cron, Schedule.time_zone, Schedule.next_fire_at, Schedule.catch_up
            ).where(Schedule.next_fire_at <= at, Schedule.paused_at.is_(None), Schedule.removed_at.is_(None))
        ).all()
    fired = 0
    for schedule_id, cron, zone, first, catch_up in due:
        assert cron is not None
        assert first is not None  # what is due was asked for by it
        try:
            # Counted outside the transaction: of an expression for every minute, a year has half a million.
            times, missed = times_due(cron, zone, first, at, catch_up)
            fired += _fire(database, schedule_id, first, times, missed, clock)
        except VoicesketchError as error:
            log.warning("a schedule could not fire", schedule=schedule_id, reason=error.message)
    return fired


def times_due(
    cron: str, zone: str, first: datetime, at: datetime, catch_up: str
) -> tuple[Sequence[datetime], int]:
    """The fire times up to `at` that are made up for, and how many are left out.

    Args:
        first: the earliest one that is due.
        catch_up: `none`: the newest where it is less than five minutes old, which is in time; `last`: the newest,
            however old; `all`: each, a thousand at most.
    """
    kept: deque[datetime] = deque([first], maxlen=MOST_CAUGHT_UP if catch_up == "all" else 1)
    count = 1
    for moment in fire_times(cron, zone, first):
        if moment > at:
            break
        kept.append(moment)
        count += 1
    if catch_up == "none" and at - kept[-1] > GRACE:
        kept.clear()
    return list(kept), count - len(kept)


def fire_for_pairs(database: Database, pairs: Pairs, *, clock: Clock = now) -> int:
    """Enters a run for every schedule whose collection has grown enough since its last version."""
    with database.read() as session:
        waiting = session.scalars(
            select(Schedule).where(
                Schedule.new_pairs.is_not(None), Schedule.paused_at.is_(None), Schedule.removed_at.is_(None)
            )
        ).all()
    fired = 0
    for schedule in waiting:
        try:
            count = pairs.count(Retraining.model_validate(schedule.template).source)
            if count - schedule.pairs_at_last >= (schedule.new_pairs or 0):
                fired += _fire_for_pairs(database, schedule.id, count, clock)
        except VoicesketchError as error:
            log.warning("pairs cannot be counted", schedule=schedule.name, reason=error.message)
    return fired


def _fire(
    database: Database,
    schedule_id: str,
    first: datetime,
    times: Sequence[datetime],
    missed: int,
    clock: Clock,
) -> int:
    with database.write() as session:
        schedule = hold_schedule(session, schedule_id)
        if schedule.next_fire_at != first or schedule.paused_at or schedule.removed_at or not schedule.cron:
            return 0  # somebody else was here first
        at = clock(session)
        entered = 0
        for moment in times:
            reason = f"{missed:,} earlier times were missed and left out." if missed else ""
            run = enter_run(session, schedule, fire_time=moment, why="cron", at=at, reason=reason)
            entered += run is not None
            missed = 0
        last = max(first, *times) if times else max(first, at)
        schedule.next_fire_at = next_fire_time(schedule.cron, schedule.time_zone, last)
        if times:
            schedule.last_fired_at = times[-1]
        return entered


def _fire_for_pairs(database: Database, schedule_id: str, count: int, clock: Clock) -> int:
    with database.write() as session:
        schedule = hold_schedule(session, schedule_id)
        grown = count - schedule.pairs_at_last >= (schedule.new_pairs or count + 1)
        if not grown or schedule.paused_at or schedule.removed_at or open_runs(session, schedule_id):
            return 0
        # What failed is not tried again until somebody new has come.
        last = session.scalar(
            select(ScheduleRun.pairs)
            .where(ScheduleRun.schedule_id == schedule_id, ScheduleRun.state != RunState.SKIPPED)
            .order_by(ScheduleRun.id.desc())
            .limit(1)
        )
        if last is not None and last >= count:
            return 0
        at = clock(session)
        new = count - schedule.pairs_at_last
        run = enter_run(
            session,
            schedule,
            fire_time=at,
            why="pairs",
            at=at,
            reason=f"{new:,} new {'pair has' if new == 1 else 'pairs have'} arrived.",
        )
        if run is None:
            return 0
        run.pairs = count
        schedule.last_fired_at = at
        return 1
