"""Jobs that are programs, in the ledger as those who supervise them would leave it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, insert, update
from sqlalchemy.orm import Session

from core.identifiers import new_id
from core.ledger.database import Database, now
from core.ledger.tables import Item, Job, Transition
from core.ledger.training_tables import JobFile, LogLine, Measurement, TrainingProgress
from core.states import ItemState, JobState
from core.store import Store


@dataclass
class Program:
    """A program of a job as its supervisor would write down what it tells."""

    database: Database
    job_id: str
    attempt_id: str

    def tells(self, step: int = 0, steps: int = 100, **more: Any) -> None:
        with self.database.write() as session:
            session.merge(
                TrainingProgress(
                    job_id=self.job_id,
                    **{
                        "phase": "",
                        "epoch": 0,
                        "epochs": 0,
                        "step": step,
                        "steps": steps,
                        "doing": "",
                        **more,
                    },
                    at=now(session),
                )
            )

    def curve(self, series: dict[str, list[tuple[int, float, float]]]) -> None:
        """Points of curves: step, epoch and value of each."""
        with self.database.write() as session:
            at = now(session)
            rows = [
                {"job_id": self.job_id, "series": name, "step": n, "epoch": e, "value": v, "at": at}
                for name, points in series.items()
                for n, e, v in points
            ]
            session.execute(insert(Measurement), rows)

    def says(self, *lines: str, level: str = "info") -> None:
        with self.database.write() as session:
            session.add_all(
                LogLine(job_id=self.job_id, level=level, text=text, at=now(session)) for text in lines
            )

    def leaves(
        self,
        name: str,
        kind: str,
        content: bytes = b"",
        media_type: str = "",
        *,
        step: int | None = None,
        store: Store | None = None,
    ) -> None:
        """A file; without a store only its row."""
        sha256 = hashlib.sha256(content).hexdigest()
        key = f"jobs/{self.job_id}/files/{sha256}"
        if store is not None:
            store.put(key, content, media_type or "application/octet-stream")
        with self.database.write() as session:
            session.execute(delete(JobFile).where(JobFile.job_id == self.job_id, JobFile.name == name))
            session.add(
                JobFile(
                    job_id=self.job_id,
                    name=name,
                    kind=kind,
                    step=step,
                    object_key=key,
                    media_type=media_type or "application/octet-stream",
                    size_bytes=len(content),
                    sha256=sha256,
                    attempt_id=self.attempt_id,
                    created_at=now(session),
                )
            )

    def ends(self, state: JobState = JobState.COMPLETED, **more: Any) -> None:
        """The job is over; items of it end alike."""
        with self.database.write() as session:
            finish_job(session, self.job_id, state, **more)


def finish_job(session: Session, job_id: str, state: JobState, **more: Any) -> None:
    item = {JobState.COMPLETED: ItemState.DONE, JobState.CANCELLED: ItemState.CANCELLED}.get(
        state, ItemState.FAILED
    )
    job = session.get(Job, job_id)
    assert job is not None
    items = update(Item).where(Item.job_id == job_id)
    session.execute(items.values(state=item, attempt_id=None, token=None))
    job.state, job.finished_at, job.leased, job.pending = state, now(session), 0, 0
    job.done = job.failed = job.cancelled = 0
    setattr(job, item.value, job.total)
    for name, value in more.items():
        setattr(job, name, value)
    session.add(Transition(job_id=job_id, old="running", new=state.value, actor="ticker", at=now(session)))


def enter_running_job(
    session: Session, kind: str, owner_id: str, spec: dict[str, Any], name: str = ""
) -> str:
    """A running job of one item."""
    at = now(session)
    job = Job(
        id=new_id("job"),
        kind=kind,
        owner_id=owner_id,
        name=name or f"{kind} {spec.get('model', spec.get('dataset', ''))}",
        spec=spec,
        queue="gpu",
        state=JobState.RUNNING,
        total=1,
        leased=1,
        created_at=at,
        queued_at=at,
        started_at=at,
    )
    session.add(job)
    session.flush()
    session.add(Item(job_id=job.id, position=0, key=kind, name=job.name, state=ItemState.LEASED))
    session.add(Transition(job_id=job.id, old="queued", new="running", actor="worker", at=at, token=1))
    return job.id
