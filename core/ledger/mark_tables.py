"""What people write on faces."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index, Text
from sqlalchemy.orm import Mapped, mapped_column

from core.ledger.tables import Base


class FaceMark(Base):
    """A star and a note on one item of a job; whoever may see the job sees them."""

    __tablename__ = "face_marks"
    __table_args__ = (
        Index("ix_face_marks_job_id_favourite", "job_id", "favourite", "item_id"),
        Index("ix_face_marks_at", "at"),  # streams ask for what was marked since
    )

    item_id: Mapped[int] = mapped_column(ForeignKey("items.id"), primary_key=True, autoincrement=False)
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id"))
    favourite: Mapped[bool] = mapped_column(default=False)
    note: Mapped[str] = mapped_column(Text, default="")
    by: Mapped[str] = mapped_column(ForeignKey("users.id"))
    at: Mapped[datetime]
