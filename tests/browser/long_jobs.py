"""A job as long as they get, written straight into the ledger: its items share a few faces that were really drawn."""

from __future__ import annotations

from sqlalchemy import insert, select

from core.identifiers import new_id
from core.ledger.database import now
from core.ledger.tables import Item, Job
from core.states import ItemState, JobState
from tests.dashboard.conftest import Place

FACES = 24
FAIL_EVERY = 97
_ROWS_AT_ONCE = 5000


def long_job(place: Place, count: int, owner: str = "ada") -> str:
    """An ended job of `count` items; every 97th has no face. Answers its id."""
    drawn_by = place.script(owner).job(FACES)
    place.worker().run()
    with place.database.write() as session:
        drawn = session.get_one(Job, drawn_by)
        faces = session.execute(
            select(Item.recording_sha256, Item.drawing_id)
            .where(Item.job_id == drawn_by)
            .order_by(Item.position)
        ).all()
        at = now(session)
        failed = sum(number % FAIL_EVERY == 0 for number in range(count))
        job = Job(
            id=new_id("job"),
            kind="infer",
            owner_id=drawn.owner_id,
            name=f"{count:,} voices",
            spec=drawn.spec,
            queue=drawn.queue,
            model_version_id=drawn.model_version_id,
            labels={},
            state=JobState.COMPLETED_WITH_ERRORS if failed else JobState.COMPLETED,
            total=count,
            cached=count - failed,
            failed=failed,
            created_at=at,
            queued_at=at,
            started_at=at,
            finished_at=at,
        )
        session.add(job)
        session.flush()
        job_id = job.id
        for first in range(0, count, _ROWS_AT_ONCE):
            session.execute(
                insert(Item),
                [
                    _row(job_id, number, faces, at)
                    for number in range(first, min(count, first + _ROWS_AT_ONCE))
                ],
            )
    return job_id


def _row(job_id: str, number: int, faces: object, at: object) -> dict[str, object]:
    recording, drawing = faces[number % FACES]  # type: ignore[index]
    has_failed = number % FAIL_EVERY == 0
    return {
        "job_id": job_id,
        "position": number,
        "key": f"line {number}",
        "name": f"voice {number}.flac",
        "recording_sha256": recording,
        "state": ItemState.FAILED if has_failed else ItemState.CACHED,
        "drawing_id": None if has_failed else drawing,
        "error_code": "no_speech" if has_failed else None,
        "error_message": "Nothing is said in it." if has_failed else None,
        "attempts": 1,
        "lost": 0,
        "seconds": 0.0,
        "finished_at": at,
    }
