"""Rules of retention: how many days after the end of a job things of one kind stay.

A rule is for all jobs, for those with a label, or for one job. The narrowest one counts; of several labels the one
that keeps longest. Without any rule things stay for good.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.errors import InvalidRequest, NotFound
from core.ledger.database import now
from core.ledger.retention_tables import RetentionRule
from core.ledger.tables import Job
from core.people import audit

MOST_DAYS = 36_500
_LONGEST_SCOPE = 600
# Days that a rule keeps things; none is for good.
Days = int | None


class Kept(StrEnum):
    """What rules are about."""

    FACES = "faces"  # what jobs drew: faces, thumbnails, spectrograms
    RECORDINGS = "recordings"  # what was sent
    CHECKPOINTS = "checkpoints"  # of trainings that have ended
    LOGS = "logs"  # lines that programs wrote


@dataclass(frozen=True)
class Rules:
    """All rules of one kind, as they were at one moment."""

    by_scope: Mapping[str, Days]

    def days_for(self, job_id: str, labels: Mapping[str, Any] | None) -> Days:
        """Days that the things of a job stay after its end."""
        if job_id in self.by_scope:
            return self.by_scope[job_id]
        scopes = [f"{name}={value}" for name, value in (labels or {}).items()]
        matching = [self.by_scope[scope] for scope in scopes if scope in self.by_scope]
        if matching:
            return None if None in matching else max(days for days in matching if days is not None)
        return self.by_scope.get("")

    @property
    def general(self) -> Days:
        """Days for what belongs to no job."""
        return self.by_scope.get("")

    @property
    def shortest(self) -> timedelta | None:
        """Nothing goes sooner than this; none where nothing goes at all."""
        known = [days for days in self.by_scope.values() if days is not None]
        return timedelta(days=min(known)) if known else None


def list_rules(session: Session) -> Sequence[RetentionRule]:
    """By kind, the widest first."""
    return session.scalars(select(RetentionRule).order_by(RetentionRule.kind, RetentionRule.scope)).all()


def read_rules(session: Session, kind: Kept) -> Rules:
    rows = session.execute(
        select(RetentionRule.scope, RetentionRule.days).where(RetentionRule.kind == kind.value)
    )
    return Rules({row.scope: row.days for row in rows})


def set_rule(session: Session, *, kind: Kept, scope: str = "", days: Days, actor: str) -> RetentionRule:
    """Makes a rule, or changes the one that is there.

    Args:
        scope: empty for all jobs, `name=value` for those with that label, or the id of a job.
        days: none keeps things for good, whatever a wider rule says.

    Raises:
        InvalidRequest: the days cannot be meant, or the scope is neither.
        NotFound: there is no job of that id.
    """
    if days is not None and not 1 <= days <= MOST_DAYS:
        raise InvalidRequest(
            f"Things are kept for 1 to {MOST_DAYS:,} days; leave the number out to keep them for good."
        )
    scope = _checked_scope(session, scope)
    rule = session.get(RetentionRule, (kind.value, scope), with_for_update=True)
    before = rule.days if rule is not None else None
    at = now(session)
    if rule is None:
        rule = RetentionRule(kind=kind.value, scope=scope)
        session.add(rule)
    rule.days, rule.changed_by, rule.changed_at = days, actor, at
    audit.record(
        session,
        actor=actor,
        action="retention.set",
        subject=_subject(kind, scope),
        details={"days": days, "before": before},
    )
    return rule


def remove_rule(session: Session, *, kind: Kept, scope: str = "", actor: str) -> None:
    """Raises:
    NotFound: there is no such rule.
    """
    if "\0" in scope:  # which PostgreSQL takes in no text
        raise NotFound("There is no such rule of retention.")
    rule = session.get(RetentionRule, (kind.value, scope), with_for_update=True)
    if rule is None:
        raise NotFound("There is no such rule of retention.")
    session.delete(rule)
    audit.record(
        session,
        actor=actor,
        action="retention.remove",
        subject=_subject(kind, scope),
        details={"before": rule.days},
    )


def _checked_scope(session: Session, scope: str) -> str:
    if len(scope) > _LONGEST_SCOPE or "\0" in scope:
        raise InvalidRequest("This is no label that a job could have.")
    name, sign, value = scope.partition("=")
    if sign:
        if not name.strip():
            raise InvalidRequest("A label is written NAME=VALUE, such as project=radio.")
        return f"{name.strip()}={value.strip()}"
    if scope and session.get(Job, scope) is None:
        raise NotFound(f"There is no job {scope[:80]!r}; a label is written NAME=VALUE.")
    return scope


def _subject(kind: Kept, scope: str) -> str:
    return f"{kind.value}{f' of {scope}' if scope else ''}"[:160]
