"""The ledger's tables about what happens by itself: growing collections, schedules, their runs, and notes to others."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from core.ledger.tables import Base, BigId, state_column
from core.schedules.states import RunState


class Collection(Base):
    """A named set of files that grows: what retrainings prepare their datasets from."""

    __tablename__ = "collections"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    name: Mapped[str] = mapped_column(String(80), unique=True)
    owner_id: Mapped[str] = mapped_column(ForeignKey("users.id"))
    created_at: Mapped[datetime]


class CollectionFile(Base):
    """A file of a collection; its content is a recording or picture that was sent. Never changes, once there."""

    __tablename__ = "collection_files"
    __table_args__ = (UniqueConstraint("collection_id", "path"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    collection_id: Mapped[str] = mapped_column(ForeignKey("collections.id"))
    path: Mapped[str] = mapped_column(Text)
    sha256: Mapped[str] = mapped_column(String(64))
    added_at: Mapped[datetime]


class CollectionPerson(Base):
    """Who is who in a collection, and in which part of the split: settled when somebody is first seen, for good.

    Whatever is prepared of the collection later, and however, nobody changes sides.
    """

    __tablename__ = "collection_people"
    __table_args__ = (
        UniqueConstraint("collection_id", "name"),
        UniqueConstraint("collection_id", "identity"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    collection_id: Mapped[str] = mapped_column(ForeignKey("collections.id"))
    name: Mapped[str] = mapped_column(Text)
    identity: Mapped[str] = mapped_column(String(80))
    split: Mapped[str] = mapped_column(String(16))


class CollectionPlan(Base):
    """The newest plan of a collection for each way to prepare it; the next one grows from it."""

    __tablename__ = "collection_plans"

    collection_id: Mapped[str] = mapped_column(ForeignKey("collections.id"), primary_key=True)
    way_sha256: Mapped[str] = mapped_column(String(64), primary_key=True)  # of layout, options and recipe
    plan_sha256: Mapped[str] = mapped_column(String(64))
    made_at: Mapped[datetime]


class Schedule(Base):
    """Something to be done again and again: by the clock, or when enough new pairs have arrived."""

    __tablename__ = "schedules"
    __table_args__ = (
        Index("ix_schedules_next_fire_at", "next_fire_at"),
        # A removed schedule stays for its runs, and its name is free again.
        Index(
            "uq_schedules_name",
            "name",
            unique=True,
            sqlite_where=text("removed_at IS NULL"),
            postgresql_where=text("removed_at IS NULL"),
        ),
    )

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    name: Mapped[str] = mapped_column(String(80))
    owner_id: Mapped[str] = mapped_column(ForeignKey("users.id"))
    cron: Mapped[str | None] = mapped_column(String(120))
    time_zone: Mapped[str] = mapped_column(String(60))
    new_pairs: Mapped[int | None]  # fires when so many have arrived since the last version
    template: Mapped[dict[str, Any]]  # core.schedules.specs.Retraining
    catch_up: Mapped[str] = mapped_column(String(8))  # none, last or all
    overlap: Mapped[str] = mapped_column(String(8))  # skip, queue or replace
    webhook_url: Mapped[str | None] = mapped_column(Text)
    webhook_secret: Mapped[str | None] = mapped_column(Text)
    paused_at: Mapped[datetime | None]
    next_fire_at: Mapped[datetime | None]
    last_fired_at: Mapped[datetime | None]
    pairs_at_last: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime]
    removed_at: Mapped[datetime | None]


class ScheduleRun(Base):
    """One firing of a schedule, and the jobs it led to. The unique fire time makes firing twice impossible."""

    __tablename__ = "schedule_runs"
    __table_args__ = (UniqueConstraint("schedule_id", "fire_time"),)

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    schedule_id: Mapped[str] = mapped_column(ForeignKey("schedules.id"))
    fire_time: Mapped[datetime]
    why: Mapped[str] = mapped_column(String(16))  # cron, pairs or by_hand
    state: Mapped[RunState] = mapped_column(state_column(RunState))
    prepare_job_id: Mapped[str | None] = mapped_column(ForeignKey("jobs.id"))
    train_job_id: Mapped[str | None] = mapped_column(ForeignKey("jobs.id"))
    pairs: Mapped[int]  # people with both sides in the collection when it fired
    result: Mapped[dict[str, Any]]
    reason: Mapped[str] = mapped_column(Text, default="")
    created_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]


class JobWebhook(Base):
    """Where to tell of the end of one job."""

    __tablename__ = "job_webhooks"

    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id"), primary_key=True)
    url: Mapped[str] = mapped_column(Text)
    secret: Mapped[str] = mapped_column(Text)


class WebhookDelivery(Base):
    """A note still to be sent, or sent; written in the transaction that ended the run or the job."""

    __tablename__ = "webhook_deliveries"
    __table_args__ = (Index("ix_webhook_deliveries_next_attempt_at", "next_attempt_at"),)

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    # It tells of a run of a schedule, or of a job; one of the two.
    run_id: Mapped[str | None] = mapped_column(ForeignKey("schedule_runs.id"))
    job_id: Mapped[str | None] = mapped_column(ForeignKey("jobs.id"), index=True)
    url: Mapped[str] = mapped_column(Text)
    body: Mapped[dict[str, Any]]
    attempts: Mapped[int] = mapped_column(default=0)
    next_attempt_at: Mapped[datetime | None]  # nothing once delivered, or given up
    delivered_at: Mapped[datetime | None]
    last_error: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime]
