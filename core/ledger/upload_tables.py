"""Files on their way in: sent in parts, some of them straight to the object store, and gone on with after a break."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from core.ledger.tables import Base


class Upload(Base):
    """One file that somebody began to send. It becomes a recording once it is there as a whole."""

    __tablename__ = "uploads"
    __table_args__ = (
        Index("ix_uploads_owner_id_fingerprint", "owner_id", "fingerprint"),
        Index("ix_uploads_expires_at", "expires_at"),
    )

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    owner_id: Mapped[str] = mapped_column(ForeignKey("users.id"))
    name: Mapped[str] = mapped_column(Text)
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    # The sender's own mark of a file (name, size, time of change), by which it finds its upload again.
    fingerprint: Mapped[str] = mapped_column(String(200))
    object_key: Mapped[str] = mapped_column(String(200))  # where the parts are gathered
    s3_upload_id: Mapped[str | None] = mapped_column(Text)  # none where the file goes in one piece
    part_bytes: Mapped[int] = mapped_column(BigInteger)
    recording_sha256: Mapped[str | None] = mapped_column(ForeignKey("recordings.sha256"))
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]  # what is not whole by then is swept away
    finished_at: Mapped[datetime | None]
    abandoned_at: Mapped[datetime | None]
