"""Workers and queues as the API shows them."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, Field

from core.claims.worker_queries import QueueRow, WorkerRow


class ChunkView(BaseModel):
    job: str
    job_name: str
    kind: str
    items: int = Field(description="In the chunk.")
    done: int = Field(description="Of these, brought to an end.")
    since: datetime
    items_per_second: float | None


class UtilisationView(BaseModel):
    """What the worker measured with its last heartbeat; what it could not measure is null."""

    device_name: str | None = None
    cpu_percent: float | None = Field(None, description="Of one core, so that four busy cores are 400.")
    memory_bytes: int | None = None
    gpu_percent: float | None = None
    gpu_memory_bytes: int | None = None
    gpu_memory_total_bytes: int | None = None
    gpu_celsius: float | None = None


class WorkerView(BaseModel):
    id: str
    host: str
    pid: int
    queue: str
    device: str
    state: str = Field(description="working, idle, draining, drained, leaving, silent or gone.")
    doing: str
    items_per_second: float | None
    chunks: list[ChunkView]
    utilisation: UtilisationView
    started_at: datetime
    seen_at: datetime
    draining_at: datetime | None
    ended_at: datetime | None


class WorkerList(BaseModel):
    data: list[WorkerView]
    next: str | None = None


class WaitingView(BaseModel):
    job: str
    name: str
    owner: str
    state: str
    priority: int
    pending: int
    queued_at: datetime | None


class QueueView(BaseModel):
    name: str
    items: int = Field(description="That wait.")
    leased: int = Field(description="That workers hold.")
    jobs: int = Field(description="With items that wait.")
    oldest_wait_seconds: float | None
    seconds_to_empty: float | None = Field(description="Null while no rate is known.")
    workers: int = Field(description="That claim from it.")
    draining: int = Field(description="Workers of it that claim nothing more.")
    waiting: list[WaitingView] = Field(description="The first 50, in the order of priority and age.")


class QueueList(BaseModel):
    data: list[QueueView]
    next: str | None = None


class WorkerPath(BaseModel):
    worker_id: str = Field(max_length=40)


def worker_view(row: WorkerRow) -> WorkerView:
    worker = row.worker
    chunks = [
        ChunkView(
            job=one.job_id,
            job_name=one.job_name,
            kind=one.kind,
            items=one.items,
            done=one.done,
            since=one.since,
            items_per_second=one.items_per_second,
        )
        for one in row.chunks
    ]
    return WorkerView(
        id=worker.id,
        host=worker.host,
        pid=worker.pid,
        queue=worker.queue,
        device=worker.device,
        state=row.state,
        doing=worker.doing,
        items_per_second=row.items_per_second,
        chunks=chunks,
        utilisation=UtilisationView.model_validate(worker.utilisation or {}),
        started_at=worker.started_at,
        seen_at=worker.seen_at,
        draining_at=worker.draining_at,
        ended_at=worker.ended_at,
    )


def queue_view(row: QueueRow) -> QueueView:
    return QueueView(
        name=row.name,
        items=row.items,
        leased=row.leased,
        jobs=row.jobs,
        oldest_wait_seconds=row.oldest_wait_seconds,
        seconds_to_empty=row.seconds_to_empty,
        workers=row.workers,
        draining=row.draining,
        waiting=[
            WaitingView(
                job=one.job.id,
                name=one.job.name,
                owner=one.owner,
                state=one.job.state.value,
                priority=one.job.priority,
                pending=one.job.pending,
                queued_at=one.job.queued_at,
            )
            for one in row.first
        ],
    )
