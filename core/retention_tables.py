"""How long things are kept."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from core.tables import Base


class RetentionRule(Base):
    """Days after the end of a job after which things of one kind go; without a rule they stay."""

    __tablename__ = "retention_rules"

    kind: Mapped[str] = mapped_column(
        String(24), primary_key=True
    )  # core.retention_rules says which there are
    # All jobs where it is empty; those with a label (`name=value`), or one job, by its id.
    scope: Mapped[str] = mapped_column(String(600), primary_key=True)
    days: Mapped[int | None]  # none: kept for good, whatever a wider rule says
    changed_by: Mapped[str] = mapped_column(ForeignKey("users.id"))
    changed_at: Mapped[datetime]
