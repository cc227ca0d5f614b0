"""How long things are kept, and how much there is of them."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from core.ledger.tables import Base


class RetentionRule(Base):
    """Days after the end of a job after which things of one kind go; without a rule they stay."""

    __tablename__ = "retention_rules"

    kind: Mapped[str] = mapped_column(String(24), primary_key=True)  # core.keeping.rules says which there are
    # All jobs where it is empty; those with a label (`name=value`), or one job, by its id.
    scope: Mapped[str] = mapped_column(String(600), primary_key=True)
    days: Mapped[int | None]  # none: kept for good, whatever a wider rule says
    changed_by: Mapped[str] = mapped_column(ForeignKey("users.id"))
    changed_at: Mapped[datetime]


class StorageSum(Base):
    """How much is stored of one kind, as it was summed up last; all rows are of the same moment."""

    __tablename__ = "storage_sums"

    kind: Mapped[str] = mapped_column(String(24), primary_key=True)
    place: Mapped[int]  # in the order in which they are shown
    count: Mapped[int] = mapped_column(BigInteger)
    bytes: Mapped[int] = mapped_column(BigInteger)
    at: Mapped[datetime]
