"""`/metrics`: what a monitoring system watches, in the format of Prometheus.

Nearly all of it is asked of the ledger when it is fetched, so every dashboard tells the same and none has to be up for
long. Only the times of requests are a process's own. What workers count themselves comes with their heartbeats.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator

from flask import Blueprint, Flask, Response, current_app, g, request
from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from core.claims.worker_queries import WorkerRow, list_queues, list_workers
from core.keeping.storage_use import storage_use
from core.ledger.database import Database, now
from core.ledger.tables import Attempt, Job, Outbox
from core.states import AttemptState, ItemState
from core.watching.readiness import Readiness
from core.watching.tallies import cumulated
from dashboard.health import readiness
from dashboard.identity import viewer
from dashboard.permissions import require_watcher
from dashboard.services import services

bp = Blueprint("metrics", __name__)

# Anybody may make up others, and each would be kept for as long as the process lives.
_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"})
_REQUEST_STEPS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
# Of a worker's own measurements: the metric, what it says, and by what it is multiplied.
_MEASURED = (
    ("cpu_percent", "cpu_cores", "Processor cores that the worker and its children use.", 0.01),
    ("memory_bytes", "memory_bytes", "Memory of the worker and its children.", 1.0),
    ("gpu_percent", "device_utilisation_ratio", "Share of time that the device was at work.", 0.01),
    ("gpu_memory_bytes", "device_memory_used_bytes", "Memory in use on the device.", 1.0),
    ("gpu_memory_total_bytes", "device_memory_bytes", "Memory of the device.", 1.0),
    ("gpu_celsius", "device_temperature_celsius", "Temperature of the device.", 1.0),
)


def attach(app: Flask) -> None:
    """Times every request from here on, and serves `/metrics`."""
    registry = CollectorRegistry()
    spent = Histogram(
        "voicesketch_http_request_seconds",
        "Time that this dashboard took to answer, without streams of events.",
        ("method", "endpoint", "status"),
        buckets=_REQUEST_STEPS,
        registry=registry,
    )
    app.extensions["metrics"] = registry

    def begin() -> None:
        g.began = time.perf_counter()

    def end(response: Response) -> Response:
        began = g.get("began")
        endpoint = request.endpoint or "none"
        if began is not None and response.mimetype != "text/event-stream":
            # Endpoints and not addresses: ids in addresses would make a series each.
            status = f"{response.status_code // 100}xx"
            method = request.method if request.method in _METHODS else "other"
            spent.labels(method, endpoint, status).observe(time.perf_counter() - began)
        return response

    app.before_request_funcs.setdefault(None, []).insert(0, begin)
    app.after_request(end)
    app.register_blueprint(bp)


@bp.get("/metrics")
def metrics() -> Response:
    """For viewers, operators and admins: a scraper sends a token that may only read."""
    require_watcher(viewer())
    own: CollectorRegistry = current_app.extensions["metrics"]
    whole = CollectorRegistry()
    whole.register(_Everything(services().database, readiness(), own))
    encoder, content_type = choose_encoder(request.headers.get("Accept", ""))
    return Response(encoder(whole), content_type=content_type)


class _Everything(Collector):
    """The ledger's numbers, and then this process's own."""

    def __init__(self, database: Database, parts: Readiness, own: CollectorRegistry) -> None:
        self._database = database
        self._parts = parts
        self._own = own

    def describe(self) -> Iterable[Metric]:
        return ()  # a name comes once; nobody has to collect everything to find that out

    def collect(self) -> Iterator[Metric]:
        with self._database.read() as session:
            yield from _jobs(session)
            yield from _queues(session)
            yield from _claims(session)
            workers = list_workers(session)
        yield from _workers(workers)
        yield from _tallies(workers)
        ready = GaugeMetricFamily(
            "voicesketch_part_ready",
            "1 for a part that is ready, as /readyz tells it; 0 for one that is not, or does not answer.",
            labels=["part"],
        )
        for part, said in self._parts.look().items():
            ready.add_metric([part], float(said == "ok"))
        yield ready
        stored = GaugeMetricFamily(
            "voicesketch_stored_bytes", "Bytes in the object store, as last summed up.", labels=["kind"]
        )
        for use in storage_use(self._database).kinds:
            stored.add_metric([use.kind], use.bytes)
        yield stored
        yield from self._own.collect()


def _jobs(session: Session) -> Iterator[Metric]:
    jobs = GaugeMetricFamily("voicesketch_jobs", "Jobs in the ledger.", labels=["kind", "state"])
    for kind, state, count in session.execute(
        select(Job.kind, Job.state, func.count()).group_by(Job.kind, Job.state)
    ):
        jobs.add_metric([kind, state.value], count)
    yield jobs
    items = GaugeMetricFamily("voicesketch_items", "Items of all jobs in the ledger.", labels=["state"])
    sums = session.execute(select(*(func.sum(getattr(Job, state.value)) for state in ItemState))).one()
    for ended_as, count in zip(ItemState, sums, strict=True):
        items.add_metric([ended_as.value], count or 0)
    yield items


def _queues(session: Session) -> Iterator[Metric]:
    items = GaugeMetricFamily(
        "voicesketch_queue_items", "Items that wait in a queue, or are at work.", labels=["queue", "state"]
    )
    wait = GaugeMetricFamily(
        "voicesketch_queue_oldest_wait_seconds",
        "How long the oldest job with waiting items has been in a queue.",
        labels=["queue"],
    )
    first_wait = GaugeMetricFamily(
        "voicesketch_queue_first_wait_seconds",
        "How long the oldest job that no worker has begun with has been in a queue.",
        labels=["queue"],
    )
    workers = GaugeMetricFamily(
        "voicesketch_queue_workers", "Workers that may claim from a queue.", labels=["queue"]
    )
    for queue in list_queues(session, shown=0):
        items.add_metric([queue.name, "waiting"], queue.items)
        items.add_metric([queue.name, "leased"], queue.leased)
        wait.add_metric([queue.name], queue.oldest_wait_seconds or 0.0)
        first_wait.add_metric([queue.name], queue.first_wait_seconds or 0.0)
        workers.add_metric([queue.name], queue.workers)
    yield from (items, wait, first_wait, workers)


def _claims(session: Session) -> Iterator[Metric]:
    claims = GaugeMetricFamily(
        "voicesketch_claims", "Claims in the ledger by how they ended.", labels=["state"]
    )
    rows = session.execute(select(Attempt.state, func.count()).group_by(Attempt.state))
    counted = dict(rows.all())
    for state in AttemptState:
        claims.add_metric([state.value], counted.get(state, 0))
    yield claims
    oldest = session.scalar(select(func.min(Outbox.created_at)).where(Outbox.published_at.is_(None)))
    waited = (now(session) - oldest).total_seconds() if oldest is not None else 0.0
    yield GaugeMetricFamily(
        "voicesketch_doorbell_oldest_wait_seconds",
        "How long a doorbell has waited to be rung; it grows while ticker or broker are away.",
        value=max(0.0, waited),
    )


def _workers(rows: list[WorkerRow]) -> Iterator[Metric]:
    present = Counter((row.worker.queue, row.state) for row in rows if row.worker.ended_at is None)
    workers = GaugeMetricFamily("voicesketch_workers", "Workers that are there.", labels=["queue", "state"])
    for (queue, state), count in present.items():
        workers.add_metric([queue, state], count)
    yield workers
    for key, name, says, scale in _MEASURED:
        family = GaugeMetricFamily(f"voicesketch_worker_{name}", says, labels=["worker", "host"])
        for row in rows:
            told = (row.worker.utilisation or {}).get(key)
            if told is not None and row.worker.ended_at is None:
                family.add_metric([row.worker.id, row.worker.host], float(told) * scale)
        yield family


def _tallies(rows: list[WorkerRow]) -> Iterator[Metric]:
    ended = CounterMetricFamily(
        "voicesketch_worker_items", "Items that a worker ended.", labels=["worker", "host", "state"]
    )
    claims = CounterMetricFamily(
        "voicesketch_worker_claims", "Claims that a worker made.", labels=["worker", "host"]
    )
    lost = CounterMetricFamily(
        "voicesketch_worker_leases_lost",
        "Claims that had been taken away when a worker came to publish.",
        labels=["worker", "host"],
    )
    took = HistogramMetricFamily(
        "voicesketch_worker_item_seconds", "Seconds of work for an item.", labels=["worker", "host"]
    )
    for row in rows:
        told = (row.worker.utilisation or {}).get("tally")
        if told is None:
            continue
        names = [row.worker.id, row.worker.host]
        for state, count in told["items"].items():
            ended.add_metric([*names, state], count)
        claims.add_metric(names, told["claims"])
        lost.add_metric(names, told["lost"])
        took.add_metric(names, cumulated(told), told["seconds"])
    yield from (ended, claims, lost, took)
