"""The ledger's tables. Rows only: every change of a state lives in `core/jobs.py` and `core/claims/leases.py`."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from core.ledger.table_base import Base as Base
from core.ledger.table_base import BigId as BigId
from core.ledger.table_base import partial_index
from core.ledger.table_base import state_column as state_column
from core.states import AttemptState, ItemState, JobState


class User(Base):
    __tablename__ = "users"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    name: Mapped[str] = mapped_column(String(120), unique=True)
    role: Mapped[str] = mapped_column(String(24))
    password_hash: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime]
    disabled_at: Mapped[datetime | None]
    oidc_subject: Mapped[str | None] = mapped_column(String(255), unique=True)  # issuer and subject
    failed_sign_ins: Mapped[int] = mapped_column(default=0, server_default=text("0"))  # in a row
    locked_until: Mapped[datetime | None]
    # Cookies from before are void: after a change of the password, or signing out everywhere.
    sessions_from: Mapped[datetime | None]
    # When a chunk of theirs was last claimed: the claim goes round between owners by it.
    served_at: Mapped[datetime | None]
    # Limits of their own, by name, in place of those of their role; null in it is no limit (core.people.quotas).
    quotas: Mapped[dict[str, Any] | None]
    # Bytes of their recordings as last counted, and what came since; kept only where there is a limit.
    stored_bytes: Mapped[int | None] = mapped_column(BigInteger)
    stored_counted_at: Mapped[datetime | None]


class Secret(Base):
    """A sign-in link or an API token; only its hash is kept."""

    __tablename__ = "secrets"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    kind: Mapped[str] = mapped_column(String(16))  # "link" or "token"
    hash: Mapped[str] = mapped_column(String(64), unique=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"), index=True)
    name: Mapped[str] = mapped_column(String(120))
    scopes: Mapped[list[Any] | None]  # what a token may do; none: whatever its user may
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    used_at: Mapped[datetime | None]  # of a token: last, to the minute
    revoked_at: Mapped[datetime | None]


class Recording(Base):
    """An audio file somebody gave us, known by its content."""

    __tablename__ = "recordings"

    sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    object_key: Mapped[str] = mapped_column(String(200))
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    media_type: Mapped[str] = mapped_column(String(80))
    created_at: Mapped[datetime]
    duration_seconds: Mapped[float | None]  # known once it was decoded
    purged_at: Mapped[datetime | None]  # its content is gone by a rule, until it is sent again


class RecordingOwner(Base):
    """Who gave us a recording: one content may have come from several people, and none may use another's."""

    __tablename__ = "recording_owners"
    __table_args__ = (
        Index("ix_recording_owners_owner_id_sha256", "owner_id", "sha256"),
    )  # what somebody sent

    sha256: Mapped[str] = mapped_column(ForeignKey("recordings.sha256"), primary_key=True)
    owner_id: Mapped[str] = mapped_column(ForeignKey("users.id"), primary_key=True)
    created_at: Mapped[datetime]  # when they last sent it


class ModelVersion(Base):
    __tablename__ = "model_versions"
    __table_args__ = (UniqueConstraint("name", "version"),)

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    name: Mapped[str] = mapped_column(String(80))
    version: Mapped[int]
    sha256: Mapped[str] = mapped_column(String(64))  # of all its files together
    files: Mapped[list[Any]]  # [{"name", "key", "sha256", "size_bytes"}]
    config: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]
    # Where it comes from; all of it is empty for models that were brought in. Jobs and datasets name models in their
    # turn, so these two are kept without the database's own checks, which would go in a circle.
    job_id: Mapped[str | None] = mapped_column(String(40))  # that trained it
    dataset_version_id: Mapped[str | None] = mapped_column(String(40))
    parent_id: Mapped[str | None] = mapped_column(
        ForeignKey("model_versions.id")
    )  # whose weights it began with
    # Versions of the code and of libraries, the whole spec, labels and hashes of the above.
    lineage: Mapped[dict[str, Any] | None]
    deleted_at: Mapped[datetime | None]  # its files are gone; the row stays for those who name it

    @property
    def label(self) -> str:
        return f"{self.name}@{self.version}"


class Alias(Base):
    """A name such as `production` that points at a model version and can be moved."""

    __tablename__ = "aliases"

    name: Mapped[str] = mapped_column(String(80), primary_key=True)
    model_version_id: Mapped[str] = mapped_column(ForeignKey("model_versions.id"))
    moved_at: Mapped[datetime]


class Job(Base):
    __tablename__ = "jobs"
    __table_args__ = (
        UniqueConstraint("owner_id", "idempotency_key"),
        # Only the few jobs still in play: the claim and the ticker look at them all the time.
        partial_index("ix_jobs_in_play", "state", where="finished_at IS NULL"),
        Index("ix_jobs_owner_id_created_at", "owner_id", "created_at"),
    )

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    kind: Mapped[str] = mapped_column(String(24))
    owner_id: Mapped[str] = mapped_column(ForeignKey("users.id"))
    name: Mapped[str] = mapped_column(String(200))
    spec: Mapped[dict[str, Any]]
    queue: Mapped[str] = mapped_column(String(40))
    priority: Mapped[int] = mapped_column(default=0)
    model_version_id: Mapped[str | None] = mapped_column(ForeignKey("model_versions.id"))
    idempotency_key: Mapped[str | None] = mapped_column(String(200))
    labels: Mapped[dict[str, Any]] = mapped_column(default=dict, server_default=text("'{}'"))
    rerun_of: Mapped[str | None] = mapped_column(
        String(40), index=True
    )  # the job whose recordings it took over
    state: Mapped[JobState] = mapped_column(state_column(JobState))
    error_code: Mapped[str | None] = mapped_column(String(40))
    error_message: Mapped[str | None] = mapped_column(Text)
    token: Mapped[int] = mapped_column(default=0)  # the last fencing token handed out

    # Counted in the transaction that moves the items, so that a page never counts rows.
    total: Mapped[int] = mapped_column(default=0)
    pending: Mapped[int] = mapped_column(default=0)
    leased: Mapped[int] = mapped_column(default=0)
    done: Mapped[int] = mapped_column(default=0)
    cached: Mapped[int] = mapped_column(default=0)
    failed: Mapped[int] = mapped_column(default=0)
    skipped: Mapped[int] = mapped_column(default=0)
    cancelled: Mapped[int] = mapped_column(default=0)
    # A moving rate of items brought to an end, kept by whoever commits results.
    rate_per_second: Mapped[float | None]
    rated_at: Mapped[datetime | None]
    # Time of workers that went into it, by what they draw on; none where nobody measured it (core.costs).
    gpu_seconds: Mapped[float | None]
    cpu_seconds: Mapped[float | None]

    created_at: Mapped[datetime]
    queued_at: Mapped[datetime | None]
    rung_at: Mapped[datetime | None]  # when its doorbell was last rung
    started_at: Mapped[datetime | None]
    paused_at: Mapped[datetime | None]
    cancel_requested_at: Mapped[datetime | None]  # written by the asking side only
    finalizing_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    purged_at: Mapped[datetime | None]  # its pictures are gone by a rule of retention; its rows stay


class Item(Base):
    __tablename__ = "items"
    __table_args__ = (
        UniqueConstraint("job_id", "position"),
        # Claims walk the pending items of a job in order; finished items leave the index.
        partial_index("ix_items_pending", "job_id", "stage", "lost", "position", where="state = 'pending'"),
        partial_index("ix_items_leased", "attempt_id", where="state = 'leased'"),
        Index("ix_items_job_id_state_position", "job_id", "state", "position"),
        # Who uses a recording, and where another job has it.
        Index("ix_items_recording_sha256_job_id", "recording_sha256", "job_id"),
        # What failed, by its reason: counted, and listed in order.
        partial_index(
            "ix_items_failed", "job_id", "error_code", "state", "position", where="error_code IS NOT NULL"
        ),
        # Who still uses a face, before it goes.
        partial_index("ix_items_drawing_id", "drawing_id", where="drawing_id IS NOT NULL"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id"))
    position: Mapped[int]
    key: Mapped[str] = mapped_column(Text)  # the user's own name for this line; comes back in the results
    name: Mapped[str] = mapped_column(Text)  # file name as given, for people to read; never a path of ours
    recording_sha256: Mapped[str | None] = mapped_column(ForeignKey("recordings.sha256"))
    # Items of a later stage wait until every item of the earlier ones has come to its end.
    stage: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    state: Mapped[ItemState] = mapped_column(state_column(ItemState))
    attempts: Mapped[int] = mapped_column(default=0)
    lost: Mapped[int] = mapped_column(default=0)  # attempts whose worker died
    attempt_id: Mapped[str | None] = mapped_column(String(40))
    token: Mapped[int | None]
    drawing_id: Mapped[str | None] = mapped_column(ForeignKey("drawings.id"))
    error_code: Mapped[str | None] = mapped_column(String(40))
    error_message: Mapped[str | None] = mapped_column(Text)
    seconds: Mapped[float | None]  # of work on it: decoding, its share of a batch, its pictures
    finished_at: Mapped[datetime | None]


class Attempt(Base):
    """One claim of a chunk of one job by one worker."""

    __tablename__ = "attempts"
    __table_args__ = (
        UniqueConstraint("job_id", "token"),
        partial_index("ix_attempts_active", "lease_until", where="state = 'active'"),
    )

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id"))
    token: Mapped[int]
    worker_id: Mapped[str] = mapped_column(ForeignKey("workers.id"))
    state: Mapped[AttemptState] = mapped_column(state_column(AttemptState))
    items: Mapped[int]
    progress: Mapped[int] = mapped_column(
        default=0
    )  # items brought to an end; a stuck worker beats without it
    progress_at: Mapped[datetime]
    lease_until: Mapped[datetime]
    heartbeat_at: Mapped[datetime]
    started_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    reason: Mapped[str | None] = mapped_column(Text)


class Worker(Base):
    """A process that claims work. Host, process and its start time name it without doubt."""

    __tablename__ = "workers"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    host: Mapped[str] = mapped_column(String(200))
    pid: Mapped[int]
    process_started: Mapped[float]  # seconds since the epoch, as the operating system tells it
    queue: Mapped[str] = mapped_column(String(40))
    device: Mapped[str] = mapped_column(String(80))
    doing: Mapped[str] = mapped_column(Text, default="")  # shown, never branched on
    # Of its device and process, told with its heartbeat: core.claims.workers says what is in it.
    utilisation: Mapped[dict[str, Any] | None]
    started_at: Mapped[datetime]
    seen_at: Mapped[datetime]
    draining_at: Mapped[datetime | None]  # finishes what it holds, and claims nothing more until it may again
    leaving_at: Mapped[datetime | None]  # its process ends: it gives back what it holds
    ended_at: Mapped[datetime | None]


class Artifact(Base):
    """A stored output."""

    __tablename__ = "artifacts"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    kind: Mapped[str] = mapped_column(String(24))  # "face", "thumbnail" or "spectrogram"
    object_key: Mapped[str] = mapped_column(String(200), unique=True)
    media_type: Mapped[str] = mapped_column(String(80))
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime]


class Drawing(Base):
    """A published face: one for each recording, model version and set of parameters, however often it is asked for."""

    __tablename__ = "drawings"
    __table_args__ = (UniqueConstraint("recording_sha256", "model_version_id", "parameters_sha256"),)

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    recording_sha256: Mapped[str] = mapped_column(ForeignKey("recordings.sha256"))
    model_version_id: Mapped[str] = mapped_column(ForeignKey("model_versions.id"))
    parameters_sha256: Mapped[str] = mapped_column(String(64))
    # An artifact belongs to one drawing and goes with it; an attempt may go before what it drew, which others use.
    # Neither is kept by the database's own checks, which would look through every drawing for each that goes.
    face_id: Mapped[str] = mapped_column(String(40))
    spectrogram_id: Mapped[str | None] = mapped_column(String(40))
    thumbnail_id: Mapped[str | None] = mapped_column(String(40))  # none for early ones
    attempt_id: Mapped[str] = mapped_column(String(40))
    seconds: Mapped[float]
    created_at: Mapped[datetime]


class DatasetShard(Base):
    """A published file of a dataset in the making: one for each item of the job that prepares it."""

    __tablename__ = "dataset_shards"
    __table_args__ = (UniqueConstraint("job_id", "number"),)

    item_id: Mapped[int] = mapped_column(ForeignKey("items.id"), primary_key=True, autoincrement=False)
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id"))
    number: Mapped[int]
    sha256: Mapped[str] = mapped_column(String(64))
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    kept: Mapped[int]
    rejected: Mapped[int]
    attempt_id: Mapped[str] = mapped_column(ForeignKey("attempts.id"))
    # Of everything its bytes depend on, so that it need not be made twice; none for those made before this was noted.
    inputs_sha256: Mapped[str | None] = mapped_column(String(64), index=True)
    created_at: Mapped[datetime]


class DatasetVersion(Base):
    """A dataset that was prepared and never changes: the same inputs and the same recipe are the same version."""

    __tablename__ = "dataset_versions"
    __table_args__ = (UniqueConstraint("name", "version"), UniqueConstraint("name", "sha256"))

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    name: Mapped[str] = mapped_column(String(80))
    version: Mapped[int]
    sha256: Mapped[str] = mapped_column(String(64))  # of its dataset.json
    owner_id: Mapped[str] = mapped_column(ForeignKey("users.id"), index=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id"))  # that made it first
    files: Mapped[list[Any]]  # [{"name", "key", "sha256", "size_bytes"}]
    summary: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]

    @property
    def label(self) -> str:
        return f"{self.name}@{self.version}"


class Transition(Base):
    """One recorded change of state. Append-only; its id orders the events that pages listen to."""

    __tablename__ = "transitions"
    __table_args__ = (
        Index("ix_transitions_job_id_id", "job_id", "id"),
        # The few moves of jobs themselves, among those of all their items.
        partial_index("ix_transitions_of_jobs", "job_id", "id", where="item_id IS NULL"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id"))
    item_id: Mapped[int | None] = mapped_column(BigId)
    old: Mapped[str | None] = mapped_column(String(24))
    new: Mapped[str] = mapped_column(String(24))
    actor: Mapped[str] = mapped_column(String(60))  # a user, a worker, or "ticker"
    token: Mapped[int | None]
    reason: Mapped[str | None] = mapped_column(Text)
    at: Mapped[datetime]


class Outbox(Base):
    """A doorbell still to be rung, written in the transaction that made the work."""

    __tablename__ = "outbox"
    __table_args__ = (partial_index("ix_outbox_unpublished", "id", where="published_at IS NULL"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id"))
    queue: Mapped[str] = mapped_column(String(40))
    rings: Mapped[int]  # how many workers to wake
    created_at: Mapped[datetime]
    published_at: Mapped[datetime | None]
