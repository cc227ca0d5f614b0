"""Who changed something that others rely on, and when. Written in the transaction of the change; never changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.ledger.database import now
from core.ledger.training_tables import AuditEntry


def record(
    session: Session, *, actor: str, action: str, subject: str, details: Mapping[str, Any] | None = None
) -> AuditEntry:
    """Notes a change.

    Args:
        actor: id of a user, or of the job or schedule that acted by itself.
        action: such as `model.promote`.
        subject: what it was done to, such as `default@2`.
    """
    entry = AuditEntry(
        actor=actor, action=action, subject=subject, details=dict(details or {}), at=now(session)
    )
    session.add(entry)
    session.flush()
    return entry


def list_entries(
    session: Session, *, limit: int = 50, before: int | None = None, subject: str | None = None
) -> Sequence[AuditEntry]:
    """Newest first; the id of the last one of a page is the cursor (`before`) of the next."""
    query = select(AuditEntry).order_by(AuditEntry.id.desc()).limit(limit)
    if before is not None:
        query = query.where(AuditEntry.id < before)
    if subject is not None:
        query = query.where(AuditEntry.subject == subject)
    return session.scalars(query).all()
