"""How long things are kept."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from core.tables import Base


class RetentionRule(Base):
    """Days after which things of one kind go; without a row they stay."""

    __tablename__ = "retention_rules"

    kind: Mapped[str] = mapped_column(String(24), primary_key=True)  # core.retention says which there are
    days: Mapped[int]
    changed_by: Mapped[str] = mapped_column(ForeignKey("users.id"))
    changed_at: Mapped[datetime]
