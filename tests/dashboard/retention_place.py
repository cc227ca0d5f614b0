"""Rules of retention, jobs of long ago, and how much of them is there."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import select, update

from core.keeping.retention import preview
from core.keeping.rules import Kept, set_rule
from core.ledger.database import now
from core.ledger.tables import Item, Job, Recording, RecordingOwner
from tests.dashboard.conftest import Place, Script


def rule(place: Place, kind: Kept, days: int | None, scope: str = "") -> None:
    with place.database.write() as session:
        set_rule(session, kind=kind, scope=scope, days=days, actor=place.user("root").id)


def age(place: Place, job_id: str, days: float) -> None:
    """Lets a job have ended so long ago, and what it was made of have been sent before."""
    with place.database.write() as session:
        past = now(session) - timedelta(days=days)
        session.execute(update(Job).where(Job.id == job_id).values(finished_at=past))
        of_job = select(Item.recording_sha256).where(Item.job_id == job_id)
        for table in (Recording, RecordingOwner):
            session.execute(
                update(table)
                .where(table.sha256.in_(of_job))
                .values(created_at=past)
                .execution_options(synchronize_session=False)
            )


def drawn(place: Place, script: Script, count: int = 3, **extra: object) -> str:
    job_id = script.job(count, **extra)
    place.worker().run()
    return job_id


def pictures(place: Place) -> int:
    return len(list(place.store.keys("jobs/")))


def preview_counts(place: Place) -> dict[str, tuple[int, int]]:
    return {one.kind.value: (one.count, one.shared) for one in preview(place.database, place.store)}
