"""Workers and queues: who works on what, what waits, and asking a worker to claim nothing more."""

from __future__ import annotations

from flask import Response

from core.claims.draining import drain_worker, undrain_worker
from core.claims.worker_queries import get_worker, list_queues, list_workers
from dashboard.api.blueprint import answer, api_blueprint
from dashboard.api.operating_schemas import (
    QueueList,
    WorkerList,
    WorkerPath,
    WorkerView,
    queue_view,
    worker_view,
)
from dashboard.api.schemas import Problem
from dashboard.identity import viewer
from dashboard.permissions import require_operations, require_watcher
from dashboard.services import services

api = api_blueprint("operating", "Workers and queues.")


@api.get("/workers", responses={200: WorkerList})
def workers() -> Response:
    """Workers that are there, and those that left within the hour; for viewers and operators."""
    require_watcher(viewer())
    with services().database.read() as session:
        return answer(WorkerList(data=[worker_view(row) for row in list_workers(session)]))


@api.post("/workers/<worker_id>/drain", responses={200: WorkerView, 409: Problem})
def drain(path: WorkerPath) -> Response:
    """Let a worker finish its chunk and claim nothing more; for operators."""
    user = viewer()
    require_operations(user)
    with services().database.write() as session:
        drain_worker(session, path.worker_id, actor=user.id)
        return answer(worker_view(get_worker(session, path.worker_id)))


@api.post("/workers/<worker_id>/undrain", responses={200: WorkerView, 409: Problem})
def undrain(path: WorkerPath) -> Response:
    """Let a drained worker claim again; for operators."""
    user = viewer()
    require_operations(user)
    with services().database.write() as session:
        undrain_worker(session, path.worker_id, actor=user.id)
        return answer(worker_view(get_worker(session, path.worker_id)))


@api.get("/queues", responses={200: QueueList})
def queues() -> Response:
    """Every queue: how much waits and for how long, and who serves it; for viewers and operators."""
    require_watcher(viewer())
    with services().database.read() as session:
        return answer(QueueList(data=[queue_view(row) for row in list_queues(session)]))
