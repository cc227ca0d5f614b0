"""A ledger with a collection and a schedule on it, and a clock that tests set."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from core.config import Settings
from core.datasets.collections import add_files, ensure_collection
from core.ledger.schedule_tables import Schedule, ScheduleRun
from core.ledger.tables import Item, Job, User
from core.people.accounts import Role
from core.schedules.specs import NewSchedule
from core.schedules.steering import create_schedule
from core.states import JobState
from core.store import Store
from core.ticker import Scheduling
from tests.factories import Ledger

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
TEMPLATE: Mapping[str, Any] = {
    "source": {"collection": "people"},
    "training": {"model": "matcher", "recipe": {"task": "matching"}, "after": {"promote": False}},
}


class SetClock:
    """Stands still until it is moved."""

    def __init__(self, at: datetime = NOON) -> None:
        self.at = at

    def __call__(self, _session: Session) -> datetime:
        return self.at

    def move(self, **by: float) -> None:
        self.at += timedelta(**by)


class SchedulingPlace:
    """Schedules of an operator over one ledger."""

    def __init__(self, ledger: Ledger, store: Store, settings: Settings) -> None:
        self.ledger, self.database, self.store, self.settings = ledger, ledger.database, store, settings
        self.clock = SetClock()
        self.scheduling = Scheduling(self.database, store, settings, clock=self.clock)
        self.user: User = ledger.user("olga", Role.OPERATOR)
        self._people = 0
        self.add_people(3)

    def add_people(self, count: int, collection: str = "people") -> None:
        """People with a voice and a face each; the contents are rows alone."""
        hashes = self.ledger.recordings(2 * count, "olga", f"people {self._people} of {collection} ")
        files: dict[str, str] = {}
        for number in range(count):
            person = f"person {self._people + number:04}"
            files[f"{person}/voice.wav"] = hashes[2 * number]
            files[f"{person}/face.png"] = hashes[2 * number + 1]
        self._people += count
        with self.database.write() as session:
            add_files(session, self.user, ensure_collection(session, self.user, collection), files)

    def schedule(self, name: str = "weekly", **values: Any) -> Schedule:
        wanted = {"name": name, "cron": "0 * * * *", "template": TEMPLATE, **values}
        if "new_pairs" in values and "cron" not in values:
            wanted["cron"] = None
        made, _ = create_schedule(
            self.database,
            self.user,
            NewSchedule.model_validate(wanted),
            private_webhooks=True,
            clock=self.clock,
        )
        return made

    def round(self, **later: float) -> None:
        """One round of the ticker, after the clock has moved."""
        self.clock.move(**later)
        self.scheduling.round()

    def runs(self) -> list[ScheduleRun]:
        with self.database.read() as session:
            return list(session.scalars(select(ScheduleRun).order_by(ScheduleRun.id)))

    def states(self) -> list[str]:
        return [run.state.value for run in self.runs()]

    def reload(self, schedule: Schedule) -> Schedule:
        with self.database.read() as session:
            return session.get_one(Schedule, schedule.id)

    def end_jobs(self, state: JobState = JobState.COMPLETED, message: str = "") -> None:
        """Brings every job to an end, as workers would."""
        with self.database.write() as session:
            for job in session.scalars(select(Job).where(Job.finished_at.is_(None))):
                done = "done" if state is JobState.COMPLETED else "failed"
                session.execute(
                    update(Item)
                    .where(Item.job_id == job.id)
                    .values(state=done, error_message=message or None)
                )
                job.state, job.finished_at = state, self.clock.at
                job.pending = job.leased = 0
                setattr(job, done, job.total)

    def jobs(self, kind: str) -> list[Job]:
        with self.database.read() as session:
            return list(session.scalars(select(Job).where(Job.kind == kind).order_by(Job.id)))
