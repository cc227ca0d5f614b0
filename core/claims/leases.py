"""Claims: who works on what, for how long, and what becomes of it when they vanish.

A claim makes an attempt with a lease and a fencing token. Every later write of that attempt is refused once the token
is no longer the newest word on its items, so a worker that was thought dead can publish nothing. Times are the
database's.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from random import choice

import structlog
from sqlalchemy import (
    BindParameter,
    ClauseElement,
    ColumnElement,
    FromClause,
    Integer,
    String,
    and_,
    bindparam,
    case,
    literal_column,
    or_,
    select,
    update,
)
from sqlalchemy.orm import Session

from core.claims.chunk_moves import IS_LEASED, Run, items_in_turn, lease_items
from core.claims.chunks import Chunk, read_chunk
from core.claims.moves import hold_job, move_items, move_job, settle_job
from core.claims.outbox import ring
from core.errors import LeaseLost, NotFound
from core.identifiers import new_id
from core.ledger.database import Database, now
from core.ledger.prepared import OverRows, Prepared, table_of
from core.ledger.tables import Attempt, Item, Job, User, Worker
from core.processes import host_identity, is_alive
from core.specs import PROGRAM_KINDS
from core.states import JOB_CLAIMABLE, AttemptState, ItemState, JobState

log = structlog.get_logger()

# Items whose worker died are claimed in smaller company, and alone in the end, with no other chunk in the same worker:
# whichever of them kills its worker is found, and its chunk-mates are finished.
_COMPANY_AFTER_LOSS = 8
_ALONE_AFTER_LOSSES = 2
# A shard of a dataset holds many inputs: a few at once fill the time of a chunk.
_LARGE_ITEMS_AT_ONCE = 4
# The rate people see forgets what is older than about this.
_RATE_MEMORY_SECONDS = 20.0
_JOBS_LOOKED_AT = 16

# What a worker holds in its own process that was lost at least so often.
_HELD_BESIDE = Prepared(
    select(Item.id)
    .where(
        Item.attempt_id.in_(
            select(Attempt.id)
            .join(Job, Job.id == Attempt.job_id)
            .where(
                Attempt.worker_id == bindparam("worker"),
                Attempt.state == literal_column(f"'{AttemptState.ACTIVE.value}'"),
                and_(*(Job.kind != kind for kind in sorted(PROGRAM_KINDS))),
            )
        ),
        IS_LEASED,
        Item.lost >= bindparam("least"),
    )
    .limit(1)
)
# Whoever claims from another job of that owner at this moment writes the same: nobody waits for them.
_SERVE = Prepared(
    update(table_of(User))
    .where(
        User.id.in_(
            select(User.id)
            .where(User.id == bindparam("owner"))
            .with_for_update(key_share=True, skip_locked=True)
        )
    )
    .values(served_at=bindparam("at"))
)


def claim_chunk(
    session: Session,
    worker_id: str,
    queue: str,
    *,
    size: int,
    lease_seconds: float,
    kinds: Collection[str] | None = None,
) -> Chunk | None:
    """Claims the best waiting work of a queue: priority first, then round owners in turn, then the oldest job.

    Args:
        kinds: of jobs that the worker can take now; all of them when left out.
    """
    waiting = _waiting(None if kinds is None else frozenset(kinds)).rows(session, of_queue=queue)
    # On SQLite nobody else writes while this transaction does.
    several = len(waiting) > 1 and session.get_bind().dialect.name == "postgresql"
    if several:
        session.connection().exec_driver_sql("SAVEPOINT no_job_is_held")
    for job_id in _in_turn(session, waiting) if several else [job_id for job_id, _ in waiting]:
        job = hold_job(session, job_id)
        if job.state in JOB_CLAIMABLE and job.pending > 0:
            try:
                chunk = _claim_from(session, job, worker_id, size=size, lease_seconds=lease_seconds)
            except _NotBeside:
                # Nothing else either: the worker finishes what it has, and takes this up next.
                return None
            if chunk is not None:
                return chunk
        if several:
            # Who held one job and waited for another could wait in a ring. Nothing was written yet.
            session.connection().exec_driver_sql("ROLLBACK TO SAVEPOINT no_job_is_held")
    return None


def _in_turn(session: Session, waiting: Sequence[tuple[str, int]]) -> list[str]:
    """The ids of waiting jobs; first, of those of the highest priority, one that nobody else holds at this moment.

    Where all of them are held, any of them is waited for. Otherwise all that look for work at the same time would queue
    up behind one job, and the others would stand still.
    """
    equals = [job_id for job_id, priority in waiting if priority == waiting[0][1]]
    free = _FIRST_FREE.first_column(session, list(enumerate(equals))) if len(equals) > 1 else []
    first = free[0] if free else choice(equals)
    return sorted((job_id for job_id, _ in waiting), key=lambda job_id: job_id != first)


def _first_free(rows: FromClause, _dialect: str) -> ClauseElement:
    jobs = table_of(Job)
    return (
        select(jobs.c.id)
        .join_from(rows, jobs, jobs.c.id == rows.c.job_id)
        .order_by(rows.c.turn)
        .limit(1)
        .with_for_update(of=jobs, key_share=True, skip_locked=True)
    )


_FIRST_FREE = OverRows({"turn": Integer(), "job_id": String()}, _first_free)


@lru_cache(maxsize=32)
def _waiting(kinds: frozenset[str] | None) -> Prepared:
    """Ids and priorities of the jobs with waiting work, those whose turn it is first."""
    return Prepared(
        select(Job.id, Job.priority)
        .join(User, User.id == Job.owner_id)
        .where(_waits(bindparam("of_queue"), kinds))
        .order_by(
            Job.priority.desc(),
            case((User.served_at.is_(None), 0), else_=1),
            User.served_at,
            Job.created_at,
            Job.id,
        )
        .limit(_JOBS_LOOKED_AT)
    )


class _NotBeside(Exception):
    """One of two claims holds what may take its worker down, and would take the other one's items down with it."""


def is_work_waiting(session: Session, queue: str, kinds: Collection[str] | None = None) -> bool:
    """Whether a claim is worth its write transaction."""
    return session.scalar(select(Job.id).where(_waits(queue, kinds)).limit(1)) is not None


def _waits(queue: str | BindParameter[str], kinds: Collection[str] | None) -> ColumnElement[bool]:
    claimable = or_(*(Job.state == state for state in sorted(JOB_CLAIMABLE)))
    waits = and_(claimable, Job.finished_at.is_(None), Job.pending > 0, Job.queue == queue)
    return waits if kinds is None else and_(waits, or_(*(Job.kind == kind for kind in sorted(kinds))))


def _claim_from(
    session: Session, job: Job, worker_id: str, *, size: int, lease_seconds: float
) -> Chunk | None:
    at = now(session)
    if job.kind in PROGRAM_KINDS:
        size = 1
    elif job.kind != "infer":
        size = min(size, _LARGE_ITEMS_AT_ONCE)
    waiting = items_in_turn(session, job, size)
    stage, lost, _ = waiting[0]
    if stage > 0 and _is_at_work_before(session, job, stage):
        return None
    alone = lost >= _ALONE_AFTER_LOSSES
    if job.kind not in PROGRAM_KINDS and _HELD_BESIDE.rows(
        session, worker=worker_id, least=0 if alone else _ALONE_AFTER_LOSSES
    ):
        raise _NotBeside()
    limit = 1 if alone else _COMPANY_AFTER_LOSS if lost else size
    alike = [position for s, n, position in waiting[:limit] if (s, n) == (stage, lost)]
    token = job.token + 1
    attempt_id = new_id("attempt")
    # The job is held, so nothing else of the kind waits between the first and the last of them.
    leased = lease_items(
        session,
        job,
        Run(stage, lost, alike[0], alike[-1]),
        attempt_id=attempt_id,
        token=token,
        actor=worker_id,
        at=at,
    )
    job.token = token
    attempt = Attempt(
        id=attempt_id,
        job_id=job.id,
        token=token,
        worker_id=worker_id,
        state=AttemptState.ACTIVE,
        items=leased,
        progress=0,
        progress_at=at,
        lease_until=at + timedelta(seconds=lease_seconds),
        heartbeat_at=at,
        started_at=at,
    )
    session.add(attempt)
    if job.state is JobState.QUEUED:
        move_job(session, job, JobState.RUNNING, actor=worker_id, at=at)
    _SERVE.count(session, owner=job.owner_id, at=at)
    session.flush()
    return read_chunk(session, job, attempt)


def _is_at_work_before(session: Session, job: Job, stage: int) -> bool:
    """Whether somebody still works on an earlier stage; its pending items would have been claimed first."""
    earlier = select(Item.id).where(Item.job_id == job.id, Item.state == ItemState.LEASED, Item.stage < stage)
    return session.scalar(earlier.limit(1)) is not None


def hold_attempt(session: Session, attempt_id: str, job_id: str | None = None) -> tuple[Job, Attempt]:
    """Takes the job of an attempt, then the attempt, for a fenced write.

    Args:
        job_id: of the attempt, if it is known; it is looked up otherwise.

    Raises:
        LeaseLost: the attempt is over, so its owner must write nothing.
    """
    job_id = job_id or session.scalar(select(Attempt.job_id).where(Attempt.id == attempt_id))
    if job_id is None:
        raise LeaseLost()
    try:
        job = hold_job(session, job_id)
    except NotFound as error:
        raise LeaseLost() from error  # taken away, and the job deleted for good since
    attempt = session.scalar(
        select(Attempt)
        .where(Attempt.id == attempt_id, Attempt.job_id == job_id, Attempt.state == AttemptState.ACTIVE)
        .execution_options(populate_existing=True)
    )
    if attempt is None:
        raise LeaseLost()
    return job, attempt


def heartbeat(
    session: Session, worker_id: str, attempt_ids: Sequence[str], *, lease_seconds: float, doing: str
) -> None:
    """Says that a worker lives, and renews its claims."""
    at = now(session)
    session.execute(update(Worker).where(Worker.id == worker_id).values(seen_at=at, doing=doing))
    if attempt_ids:
        session.execute(
            update(Attempt)
            .where(Attempt.id.in_(attempt_ids), Attempt.state == AttemptState.ACTIVE)
            .values(heartbeat_at=at, lease_until=at + timedelta(seconds=lease_seconds))
        )


def count_progress(job: Job, attempt: Attempt, finished: int, at: datetime) -> None:
    """Notes that a held attempt brought so many items to an end, and what that does to the job's rate."""
    attempt.progress += finished
    attempt.progress_at = at
    if attempt.progress >= attempt.items:
        attempt.state = AttemptState.FINISHED
        attempt.ended_at = at
    since = job.rated_at or attempt.started_at
    elapsed = max((at - since).total_seconds(), 1e-3)
    weight = 1.0 if job.rate_per_second is None else 1.0 - math.exp(-elapsed / _RATE_MEMORY_SECONDS)
    job.rate_per_second = (job.rate_per_second or 0.0) * (1.0 - weight) + weight * finished / elapsed
    job.rated_at = at


def attempts_to_stop(session: Session, attempt_ids: Sequence[str]) -> set[str]:
    """Those of a worker's attempts that it should let go of: cancelled, or no longer its own.

    Programs run for hours, so pausing their jobs does not wait for their end: they leave a checkpoint.
    """
    going_on = session.scalars(
        select(Attempt.id)
        .join(Job, Job.id == Attempt.job_id)
        .where(
            Attempt.id.in_(attempt_ids),
            Attempt.state == AttemptState.ACTIVE,
            Job.state != JobState.CANCELLING,
            or_(Job.state != JobState.PAUSED, Job.kind.not_in(PROGRAM_KINDS)),
        )
    )
    return set(attempt_ids) - set(going_on)


def release(session: Session, attempt_id: str, *, reason: str) -> int:
    """Gives back what an attempt has not finished; answers how many items.

    Raises:
        LeaseLost: it was taken away before.
    """
    job, attempt = hold_attempt(session, attempt_id)
    return _give_back(session, job, attempt, AttemptState.RELEASED, actor=attempt.worker_id, reason=reason)


def reap(database: Database, *, max_attempts: int) -> int:
    """Ends every attempt whose lease ran out or whose process is gone from this machine; answers how many."""
    with database.read() as session:
        at = now(session)
        active = session.execute(
            select(Attempt.id, Attempt.lease_until, Worker.host, Worker.pid, Worker.process_started)
            .join(Worker, Worker.id == Attempt.worker_id)
            .where(Attempt.state == AttemptState.ACTIVE)
        ).all()
    here = host_identity()
    reaped = 0
    for attempt_id, lease_until, host, pid, started in active:
        # Elsewhere only the lease can tell; on this machine the operating system knows at once.
        gone = host == here and not is_alive(pid, started)
        if gone or lease_until < at:
            reaped += _reap_one(database, attempt_id, gone=gone, max_attempts=max_attempts)
    return reaped


def _reap_one(database: Database, attempt_id: str, *, gone: bool, max_attempts: int) -> int:
    with database.write() as session:
        try:
            job, attempt = hold_attempt(session, attempt_id)
        except LeaseLost:
            return 0  # it ended by itself in the meantime
        if not gone and attempt.lease_until >= now(session):
            return 0  # a heartbeat came after all
        reason = "its process is gone" if gone else "its lease ran out"
        mine = (Item.attempt_id == attempt.id) & (Item.state == ItemState.LEASED)
        if job.state is not JobState.CANCELLING:
            move_items(
                session,
                job,
                mine & (Item.lost + 1 >= max_attempts),
                ItemState.FAILED,
                actor="ticker",
                at=now(session),
                token=attempt.token,
                reason=reason,
                values={
                    "lost": Item.lost + 1,
                    "error_code": "worker_lost",
                    "error_message": f"The worker stopped {max_attempts} times while it had this input. "
                    "If others go well, this one is the likely cause.",
                },
            )
        given_back = _give_back(session, job, attempt, AttemptState.LOST, actor="ticker", reason=reason)
        said = {"token": attempt.token, "worker": attempt.worker_id, "items": given_back, "reason": reason}
        job_id = job.id
    log.warning("reaped", job=job_id, attempt=attempt_id, **said)
    return 1


def _give_back(
    session: Session, job: Job, attempt: Attempt, end: AttemptState, *, actor: str, reason: str
) -> int:
    at = now(session)
    attempt.state = end
    attempt.ended_at = at
    attempt.reason = reason
    lost = 1 if end is AttemptState.LOST else 0
    moved = move_items(
        session,
        job,
        (Item.attempt_id == attempt.id) & (Item.state == ItemState.LEASED),
        ItemState.CANCELLED if job.state is JobState.CANCELLING else ItemState.PENDING,
        actor=actor,
        at=at,
        token=attempt.token,
        reason=reason,
        values={"lost": Item.lost + lost},
    )
    if not settle_job(session, job, actor=actor, at=at) and job.state in JOB_CLAIMABLE and job.pending:
        ring(session, job, at=at)
    return moved
