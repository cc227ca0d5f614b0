"""How a job went: its own moves, and how many items came to an end over time.

Both are told by what is kept small: the moves of the job without those of its items, and its attempts, of which there
is one for each chunk. Items are never read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.ledger.database import now
from core.ledger.tables import Attempt, Job, Transition, User

MOST_MOVES = 500
_MOST_ATTEMPTS = 20_000


@dataclass(frozen=True)
class Move:
    """One move of a job."""

    id: int
    old: str | None
    new: str
    actor: str  # the name of a user, or what moved it by itself
    reason: str | None
    at: datetime


@dataclass(frozen=True)
class Throughput:
    """Items brought to an end in each of a number of equal steps of time.

    Attributes:
        start: when the first step begins; None before anything was begun.
        seconds: the length of a step.
        counts: items ended in each step; fractions, where an attempt lies over several.
    """

    start: datetime | None
    seconds: float
    counts: list[float]


def timeline(session: Session, job_id: str) -> list[Move]:
    """The last moves of the job itself, oldest first."""
    moves: Sequence[Transition] = session.scalars(
        select(Transition)
        .where(Transition.job_id == job_id, Transition.item_id.is_(None))
        .order_by(Transition.id.desc())
        .limit(MOST_MOVES)
    ).all()
    people = {
        user.id: user.name
        for user in session.scalars(select(User).where(User.id.in_({move.actor for move in moves})))
    }
    return [
        Move(move.id, move.old, move.new, people.get(move.actor, move.actor), move.reason, move.at)
        for move in reversed(moves)
    ]


def throughput(session: Session, job: Job, steps: int = 60) -> Throughput:
    """Spreads what each attempt brought to an end evenly over the time it worked."""
    rows = session.execute(
        select(Attempt.started_at, Attempt.progress_at, Attempt.progress)
        .where(Attempt.job_id == job.id)
        .order_by(Attempt.token.desc())
        .limit(_MOST_ATTEMPTS)
    ).all()
    worked = [(begun, max(last, begun), count) for begun, last, count in rows if count]
    if not worked:
        return Throughput(None, 0.0, [])
    start = min(begun for begun, _, _ in worked)
    end = max(last for _, last, _ in worked)
    if job.finished_at is None:
        end = max(end, now(session))
    length = max((end - start).total_seconds() / steps, 1.0)
    counts = [0.0] * steps
    for begun, last, count in worked:
        from_step = (begun - start).total_seconds() / length
        to_step = (last - start).total_seconds() / length
        _spread(counts, from_step, to_step, count)
    used = min(steps, int((end - start).total_seconds() / length) + 1)
    return Throughput(start, length, [round(count, 3) for count in counts[:used]])


def _spread(counts: list[float], begin: float, end: float, amount: float) -> None:
    last = len(counts) - 1
    if end <= begin:
        counts[min(int(begin), last)] += amount
        return
    for step in range(min(int(begin), last), min(int(end), last) + 1):
        upper = end if step == last else min(end, step + 1)
        counts[step] += amount * max(0.0, upper - max(begin, step)) / (end - begin)
