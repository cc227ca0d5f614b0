"""Jobs that prepare datasets: made from a plan, carried out shard by shard, ended by publishing a dataset version."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from core.claims.chunks import PrepareChunk
from core.claims.leases import count_progress, hold_attempt
from core.claims.moves import move_items, settle_job
from core.datasets.plan import Plan
from core.errors import InvalidRequest, LeaseLost
from core.identifiers import new_id
from core.jobs import enter_job, job_of_key, queue_job
from core.ledger.database import now
from core.ledger.tables import DatasetShard, DatasetVersion, Item, Job
from core.new_items import NewRow, enter_items
from core.specs import PrepareSpec
from core.states import ItemState

SHARDS, VERSION = 0, 1  # stages


@dataclass(frozen=True)
class ShardMade:
    """A shard that lies in the store under its content's name.

    Attributes:
        inputs_sha256: `core.datasets.plan.Shard.inputs_sha256`, by which it is found when it is wanted again.
        is_new: false where it was made before, of the same inputs.
    """

    item_id: int
    number: int
    sha256: str
    size_bytes: int
    kept: int
    rejected: int
    seconds: float
    inputs_sha256: str | None = None
    is_new: bool = True


@dataclass(frozen=True)
class DatasetMade:
    """A whole dataset that lies in the store.

    Attributes:
        files: `[{"name", "key", "sha256", "size_bytes"}]`.
        summary: a few numbers for lists.
    """

    item_id: int
    sha256: str
    files: list[dict[str, Any]]
    summary: dict[str, Any]
    seconds: float


@dataclass(frozen=True)
class StepFailed:
    item_id: int
    code: str
    message: str
    seconds: float


PreparationOutcome = ShardMade | DatasetMade | StepFailed


def create_prepare_job(
    session: Session,
    *,
    owner_id: str,
    dataset: str,
    plan: Plan,
    queue: str = "gpu",
    priority: int = 0,
    name: str = "",
    idempotency_key: str | None = None,
) -> Job:
    """Writes a job that carries out a plan; the plan itself is in the store already.

    Raises:
        InvalidRequest: the plan is empty.
    """
    earlier = job_of_key(session, owner_id, idempotency_key)
    if earlier is not None:
        return earlier
    shards = plan.shards()
    if not shards:
        raise InvalidRequest(f"Nothing is left to prepare: all {len(plan.left_out):,} inputs were left out.")
    at = now(session)
    job = enter_job(
        session,
        spec=PrepareSpec(dataset=dataset, plan_sha256=plan.sha256),
        owner_id=owner_id,
        name=name or f"dataset {dataset}",
        queue=queue,
        priority=priority,
        model_version_id=None,
        idempotency_key=idempotency_key,
        at=at,
    )
    rows: list[NewRow] = []
    before = dict.fromkeys(("train", "validation", "test"), 0)
    for shard in shards:
        first = before[shard.split] + 1
        before[shard.split] += len(shard.entries)
        title = _title(shard.split, first, before[shard.split])
        rows.append(NewRow(shard.number, f"shard-{shard.number:05d}", title, stage=SHARDS))
    rows.append(NewRow(len(shards), "dataset", "The dataset version", stage=VERSION))
    enter_items(session, job, rows, at=at)
    job.total = job.pending = len(rows)
    queue_job(session, job, at=at)
    return job


def _title(split: str, first: int, last: int) -> str:
    # Each whole, so that pages can say it in another language.
    return {
        "train": f"Train, inputs {first:,} to {last:,}",
        "validation": f"Validation, inputs {first:,} to {last:,}",
        "test": f"Test, inputs {first:,} to {last:,}",
    }[split]


def shards_of(session: Session, job_id: str) -> list[DatasetShard]:
    """The shards of a job that are published so far, in order."""
    query = select(DatasetShard).where(DatasetShard.job_id == job_id).order_by(DatasetShard.number)
    return list(session.scalars(query))


def shard_of_inputs(session: Session, inputs_sha256: str) -> DatasetShard | None:
    """The newest shard that was made of these inputs, by whichever job."""
    query = select(DatasetShard).where(DatasetShard.inputs_sha256 == inputs_sha256)
    return session.scalar(query.order_by(DatasetShard.item_id.desc()).limit(1))


def publish_preparation(
    session: Session, chunk: PrepareChunk, outcomes: Sequence[PreparationOutcome]
) -> None:
    """Makes outcomes of one attempt final.

    Raises:
        LeaseLost: the attempt no longer owns its items; nothing was written.
    """
    job, attempt = hold_attempt(session, chunk.attempt_id)
    at = now(session)
    for one in outcomes:
        values: dict[str, Any] = {"seconds": one.seconds, "error_code": None, "error_message": None}
        state = ItemState.DONE
        if isinstance(one, ShardMade):
            _enter_shard(session, chunk, one, at)
            if not one.is_new:
                state = ItemState.CACHED
        elif isinstance(one, DatasetMade):
            enter_version(session, job, chunk.dataset, one, at)
        else:
            values |= {"error_code": one.code, "error_message": one.message}
            state = ItemState.FAILED
        session.execute(update(Item).where(Item.id == one.item_id).values(values))
        moved = move_items(
            session,
            job,
            (Item.id == one.item_id) & (Item.token == chunk.token) & (Item.attempt_id == chunk.attempt_id),
            state,
            actor=chunk.worker_id,
            at=at,
            token=chunk.token,
        )
        if moved != 1:
            raise LeaseLost()
    count_progress(job, attempt, len(outcomes), at)
    settle_job(session, job, actor=chunk.worker_id, at=at)


def enter_version(session: Session, job: Job, name: str, made: DatasetMade, at: datetime) -> DatasetVersion:
    """Enters a dataset version; the same content under the same name is the version that is there already."""
    same = select(DatasetVersion).where(DatasetVersion.name == name, DatasetVersion.sha256 == made.sha256)
    known = session.scalar(same)
    if known is not None:
        return known
    last = session.scalar(select(func.max(DatasetVersion.version)).where(DatasetVersion.name == name)) or 0
    insert = sqlite.insert if session.get_bind().dialect.name == "sqlite" else postgresql.insert
    session.execute(
        insert(DatasetVersion)
        .values(
            id=new_id("dataset"),
            name=name,
            version=last + 1,
            sha256=made.sha256,
            owner_id=job.owner_id,
            job_id=job.id,
            files=made.files,
            summary=made.summary,
            created_at=at,
        )
        .on_conflict_do_nothing()
    )
    version = session.scalar(same)
    if version is None:
        # Two jobs took the same number for different contents; the transaction is tried again by its caller.
        raise LeaseLost()
    return version


def _enter_shard(session: Session, chunk: PrepareChunk, made: ShardMade, at: datetime) -> None:
    session.add(
        DatasetShard(
            item_id=made.item_id,
            job_id=chunk.job_id,
            number=made.number,
            sha256=made.sha256,
            size_bytes=made.size_bytes,
            kept=made.kept,
            rejected=made.rejected,
            attempt_id=chunk.attempt_id,
            inputs_sha256=made.inputs_sha256,
            created_at=at,
        )
    )
