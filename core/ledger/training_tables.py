"""The ledger's tables about training: what running programs tell, what they leave, and how models fared."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Float, ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from core.ledger.tables import Base, BigId


class JobFile(Base):
    """A file that a job left so far, by name; a newer one of the same name takes its place.

    Kinds: `checkpoint`, `best` (checkpoints both), `sample` (a picture), `history` (the curves as CSV), `events`
    (TensorBoard), `model` (a file of the trained model), `report`, `chart`, `table`.
    """

    __tablename__ = "job_files"
    __table_args__ = (UniqueConstraint("job_id", "name"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id"))
    name: Mapped[str] = mapped_column(
        String(200)
    )  # with `/` between folders, such as samples/epoch-00003.png
    kind: Mapped[str] = mapped_column(String(24))
    step: Mapped[int | None]  # of the training, where it belongs to one
    object_key: Mapped[str] = mapped_column(String(200))
    media_type: Mapped[str] = mapped_column(String(80))
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str] = mapped_column(String(64))
    attempt_id: Mapped[str] = mapped_column(ForeignKey("attempts.id"))
    created_at: Mapped[datetime]


class Measurement(Base):
    """A point of a curve. A resumed run writes the same points again, so each is there once."""

    __tablename__ = "measurements"

    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id"), primary_key=True)
    series: Mapped[str] = mapped_column(String(120), primary_key=True)  # such as train/total
    step: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    epoch: Mapped[float] = mapped_column(Float)
    value: Mapped[float] = mapped_column(Float)
    at: Mapped[datetime]


class TrainingProgress(Base):
    """Where a running program stands; one row a job, overwritten."""

    __tablename__ = "training_progress"

    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id"), primary_key=True)
    phase: Mapped[str] = mapped_column(String(40), default="")
    epoch: Mapped[int] = mapped_column(default=0)
    epochs: Mapped[int] = mapped_column(default=0)
    step: Mapped[int] = mapped_column(default=0)
    steps: Mapped[int] = mapped_column(default=0)
    learning_rate: Mapped[float | None]
    samples_per_second: Mapped[float | None]
    memory_bytes: Mapped[int | None] = mapped_column(BigInteger)  # of the device, or of the process on a CPU
    eta_seconds: Mapped[float | None]
    resumed_at_step: Mapped[int | None]
    doing: Mapped[str] = mapped_column(Text, default="")  # shown, never branched on
    at: Mapped[datetime]


class LogLine(Base):
    """What a job's programs said; the last few thousand lines of each job are kept."""

    __tablename__ = "log_lines"
    __table_args__ = (Index("ix_log_lines_job_id_id", "job_id", "id"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id"))
    level: Mapped[str] = mapped_column(String(12))  # info, warning or error
    text: Mapped[str] = mapped_column(Text)
    at: Mapped[datetime]


class Evaluation(Base):
    """How a model version fared on a part of a dataset version."""

    __tablename__ = "evaluations"
    __table_args__ = (UniqueConstraint("model_version_id", "dataset_version_id", "spec_sha256"),)

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    model_version_id: Mapped[str] = mapped_column(ForeignKey("model_versions.id"), index=True)
    partner_version_id: Mapped[str | None] = mapped_column(ForeignKey("model_versions.id"))
    dataset_version_id: Mapped[str] = mapped_column(ForeignKey("dataset_versions.id"))
    spec_sha256: Mapped[str] = mapped_column(String(64))  # of everything else that the numbers depend on
    split: Mapped[str] = mapped_column(String(16))
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id"))  # whose files hold the report
    metrics: Mapped[dict[str, Any]]  # name -> {"value", "low", "high", "count", "better"}; docs/metrics.md
    created_at: Mapped[datetime]


class AliasMove(Base):
    """One move of an alias. Append-only; rolling back goes to where it pointed before."""

    __tablename__ = "alias_moves"
    __table_args__ = (Index("ix_alias_moves_alias_id", "alias", "id"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    alias: Mapped[str] = mapped_column(String(80))
    old_version_id: Mapped[str | None] = mapped_column(ForeignKey("model_versions.id"))
    new_version_id: Mapped[str] = mapped_column(ForeignKey("model_versions.id"))
    kind: Mapped[str] = mapped_column(String(16))  # promote, rollback or create
    actor: Mapped[str] = mapped_column(String(60))  # a user, or the job that promoted by itself
    reason: Mapped[str] = mapped_column(Text, default="")
    at: Mapped[datetime]


class AuditEntry(Base):
    """Somebody changed something that others rely on. Append-only."""

    __tablename__ = "audit_entries"
    __table_args__ = (Index("ix_audit_entries_subject_id", "subject", "id"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    actor: Mapped[str] = mapped_column(String(60))
    action: Mapped[str] = mapped_column(String(60))  # such as model.promote or schedule.pause
    subject: Mapped[str] = mapped_column(String(160))  # what it was done to, such as default@2
    details: Mapped[dict[str, Any]]
    at: Mapped[datetime]
