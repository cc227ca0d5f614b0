"""What a running program leaves in the ledger: where it stands, its curves, its log, its files, and its end.

Every function is a fenced write of one attempt: once the lease is lost, all of them refuse.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, delete, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from core.claims.chunks import ProgramChunk
from core.claims.leases import count_progress, hold_attempt, release
from core.claims.moves import move_items, settle_job
from core.errors import LeaseLost
from core.ledger.database import now
from core.ledger.tables import Item, Job
from core.ledger.training_tables import JobFile, LogLine, Measurement, TrainingProgress
from core.states import ItemState

LOG_LINES_KEPT = 4000
_LONGEST_LINE = 4000
_ROWS_AT_ONCE = 1000
CHECKPOINTS = ("checkpoint", "best")


@dataclass(frozen=True)
class Standing:
    """Where a program stands: the columns of `TrainingProgress`."""

    phase: str = ""
    epoch: int = 0
    epochs: int = 0
    step: int = 0
    steps: int = 0
    learning_rate: float | None = None
    samples_per_second: float | None = None
    memory_bytes: int | None = None
    eta_seconds: float | None = None
    resumed_at_step: int | None = None
    doing: str = ""


@dataclass(frozen=True)
class Point:
    """A point of a curve."""

    series: str
    step: int
    epoch: float
    value: float


@dataclass(frozen=True)
class Line:
    """A line of the log. Levels: info, warning, error."""

    text: str
    level: str = "info"


@dataclass(frozen=True)
class LeftFile:
    """A file of a job that lies in the store."""

    name: str
    kind: str
    object_key: str
    media_type: str
    size_bytes: int
    sha256: str
    step: int | None = None


def publish_standing(
    session: Session,
    chunk: ProgramChunk,
    *,
    standing: Standing | None = None,
    doing: str | None = None,
    points: Sequence[Point] = (),
    lines: Sequence[Line] = (),
) -> None:
    """Writes what a program told since the last time.

    Args:
        standing: takes the place of what was there.
        doing: changes only what is being done, and leaves the numbers of an earlier step where they are.
        points: once more the same ones change nothing; values that are no numbers are left out.

    Raises:
        LeaseLost: the attempt is over; nothing was written.
    """
    hold_attempt(session, chunk.attempt_id)
    at = now(session)
    insert_or = sqlite.insert if session.get_bind().dialect.name == "sqlite" else postgresql.insert
    if standing is not None or doing is not None:
        values = vars(standing) if standing is not None else {"doing": doing}
        values = {name: _finite(value) for name, value in values.items()} | {"at": at}
        written = insert_or(TrainingProgress).values(job_id=chunk.job_id, **values)
        session.execute(written.on_conflict_do_update(index_elements=["job_id"], set_=values))
    fresh = {(point.series, point.step): point for point in points if math.isfinite(point.value)}
    rows = [{"job_id": chunk.job_id, "at": at, **vars(point)} for point in fresh.values()]
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        some = insert_or(Measurement).values(rows[start : start + _ROWS_AT_ONCE])
        session.execute(
            some.on_conflict_do_update(
                index_elements=["job_id", "series", "step"],
                set_={name: some.excluded[name] for name in ("epoch", "value", "at")},
            )
        )
    if lines:
        _write_lines(session, chunk.job_id, lines, at)


def publish_file(session: Session, chunk: ProgramChunk, file: LeftFile) -> list[str]:
    """Enters a file that lies in the store, in place of an older one of its name; answers keys nobody needs any more.

    A checkpoint is progress: what died before it no longer counts against the step.

    Raises:
        LeaseLost: the attempt is over; nothing was written.
    """
    hold_attempt(session, chunk.attempt_id)
    before = _keys(session, chunk.job_id, file.name)
    session.execute(delete(JobFile).where(JobFile.job_id == chunk.job_id, JobFile.name == file.name))
    session.add(
        JobFile(job_id=chunk.job_id, attempt_id=chunk.attempt_id, created_at=now(session), **vars(file))
    )
    session.flush()
    if file.kind in CHECKPOINTS:
        session.execute(update(Item).where(_mine(chunk)).values(lost=0))
    return _unneeded(session, chunk.job_id, before)


def forget_file(session: Session, chunk: ProgramChunk, name: str) -> list[str]:
    """Strikes a file off; answers keys nobody needs any more.

    Raises:
        LeaseLost: the attempt is over; nothing was written.
    """
    hold_attempt(session, chunk.attempt_id)
    before = _keys(session, chunk.job_id, name)
    session.execute(delete(JobFile).where(JobFile.job_id == chunk.job_id, JobFile.name == name))
    session.flush()
    return _unneeded(session, chunk.job_id, before)


def files_left(session: Session, job_id: str, kinds: Collection[str]) -> list[LeftFile]:
    """The files of these kinds that a job has so far, by name."""
    rows = session.scalars(
        select(JobFile).where(JobFile.job_id == job_id, JobFile.kind.in_(kinds)).order_by(JobFile.name)
    )
    return [LeftFile(**{name: getattr(row, name) for name in LeftFile.__dataclass_fields__}) for row in rows]


def is_mine(session: Session, chunk: ProgramChunk) -> bool:
    """Whether the attempt still counts, without holding anything."""
    try:
        hold_attempt(session, chunk.attempt_id)
    except LeaseLost:
        return False
    return True


def publish_step(
    session: Session, chunk: ProgramChunk, *, seconds: float, model_version_id: str | None = None
) -> None:
    """Makes the attempt's step done, and settles the job.

    Args:
        model_version_id: what a training ended with.

    Raises:
        LeaseLost: the attempt is over; nothing was written.
    """
    _end_step(session, chunk, ItemState.DONE, seconds, model_version_id=model_version_id)


def publish_failure(
    session: Session, chunk: ProgramChunk, *, code: str, message: str, seconds: float
) -> None:
    """Makes the attempt's step failed, and what would have come after it; settles the job.

    Raises:
        LeaseLost: the attempt is over; nothing was written.
    """
    _end_step(session, chunk, ItemState.FAILED, seconds, code=code[:40], message=_storable(message))


def give_back(session: Session, chunk: ProgramChunk, *, reason: str) -> int:
    """As `core.claims.leases.release`: what surrounds the program is at fault, or it was asked to stop."""
    return release(session, chunk.attempt_id, reason=reason)


def give_back_killed(
    session: Session, chunk: ProgramChunk, *, reason: str, max_attempts: int, seconds: float
) -> bool:
    """The program died without a word: its step is tried again, unless that went on too often without a checkpoint.

    Returns:
        Whether it is tried again.

    Raises:
        LeaseLost: the attempt is over; nothing was written.
    """
    hold_attempt(session, chunk.attempt_id)
    session.execute(update(Item).where(_mine(chunk)).values(lost=Item.lost + 1))
    lost = session.scalar(select(Item.lost).where(_mine(chunk))) or 0
    if lost < max_attempts:
        release(session, chunk.attempt_id, reason=reason)
        return True
    message = (
        f"{reason} This happened {lost} times without a checkpoint in between, so it is not tried again."
    )
    _end_step(session, chunk, ItemState.FAILED, seconds, code="program_killed", message=message)
    return False


def _end_step(
    session: Session,
    chunk: ProgramChunk,
    state: ItemState,
    seconds: float,
    *,
    code: str | None = None,
    message: str | None = None,
    model_version_id: str | None = None,
) -> None:
    job, attempt = hold_attempt(session, chunk.attempt_id)
    at = now(session)
    if model_version_id is not None:
        job.model_version_id = model_version_id
    moved = move_items(
        session,
        job,
        _mine(chunk),
        state,
        actor=chunk.worker_id,
        at=at,
        token=chunk.token,
        reason=code,
        values={"seconds": seconds, "error_code": code, "error_message": message},
    )
    if moved != len(chunk.items):
        raise LeaseLost()
    if state is ItemState.FAILED:
        _fail_what_follows(session, job, chunk, at)
    count_progress(job, attempt, moved, at)
    settle_job(session, job, actor=chunk.worker_id, at=at)


def _fail_what_follows(session: Session, job: Job, chunk: ProgramChunk, at: datetime) -> None:
    stage = max(step.stage for step in chunk.items)
    move_items(
        session,
        job,
        (Item.stage > stage) & (Item.state == ItemState.PENDING),
        ItemState.FAILED,
        actor=chunk.worker_id,
        at=at,
        token=chunk.token,
        values={
            "error_code": "step_before_failed",
            "error_message": "The step before it failed. Look at its error, then retry.",
        },
    )


def _mine(chunk: ProgramChunk) -> ColumnElement[bool]:
    ids = [step.id for step in chunk.items]
    return Item.id.in_(ids) & (Item.token == chunk.token) & (Item.attempt_id == chunk.attempt_id)


def _keys(session: Session, job_id: str, name: str) -> list[str]:
    return list(
        session.scalars(select(JobFile.object_key).where(JobFile.job_id == job_id, JobFile.name == name))
    )


def _unneeded(session: Session, job_id: str, keys: Sequence[str]) -> list[str]:
    """Those of some keys that no file of the job has any more: two names may share one content."""
    if not keys:
        return []
    needed = set(
        session.scalars(
            select(JobFile.object_key).where(JobFile.job_id == job_id, JobFile.object_key.in_(keys))
        )
    )
    return [key for key in keys if key not in needed]


def _write_lines(session: Session, job_id: str, lines: Sequence[Line], at: datetime) -> None:
    kept = lines[-LOG_LINES_KEPT:]
    session.execute(
        insert(LogLine),
        [
            {"job_id": job_id, "level": line.level[:12], "text": _storable(line.text), "at": at}
            for line in kept
        ],
    )
    oldest = session.scalar(
        select(LogLine.id)
        .where(LogLine.job_id == job_id)
        .order_by(LogLine.id.desc())
        .offset(LOG_LINES_KEPT)
        .limit(1)
    )
    if oldest is not None:
        session.execute(delete(LogLine).where(LogLine.job_id == job_id, LogLine.id <= oldest))


def _storable(text: str) -> str:
    """Programs say what they like; databases keep no NUL and no half of a surrogate pair."""
    clean = text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()
    return clean if len(clean) <= _LONGEST_LINE else clean[: _LONGEST_LINE - 1] + "…"


def _finite(value: object) -> object:
    return None if isinstance(value, float) and not math.isfinite(value) else value
