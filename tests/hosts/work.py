"""Jobs for the hosts, and what the ledger tells of who does them."""

from __future__ import annotations

import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager

from sqlalchemy import func, select

from core.client_views import JobView
from core.errors import StorageUnavailable
from core.ledger.database import Database
from core.ledger.tables import Artifact, Attempt, Drawing, Item, Job, Worker
from core.states import JOB_FINAL, AttemptState
from core.submitting.submission import submit
from tests.hosts.network import BadCable
from tests.hosts.place import OFFICES, PATIENCE_SECONDS, Place


def draw(place: Place, sent: JobView, seed: int, office: str = OFFICES[0]) -> JobView:
    """A job of all recordings that has no face yet."""
    name = f"all recordings again, {seed}"
    return submit(place.client(office), [], earlier=sent.id, seed=seed, name=name)[0]


def host_of(worker: str) -> str:
    """The name of a host in what a worker says that it is (`core.processes.host_identity`)."""
    return worker.partition("/")[0]


def drawn_by(database: Database, job_id: str) -> Counter[str]:
    """By host, how many faces of a job it published."""
    with database.read() as session:
        rows = session.execute(
            select(Worker.host, func.count())
            .join(Attempt, Attempt.worker_id == Worker.id)
            .join(Drawing, Drawing.attempt_id == Attempt.id)
            .join(Item, Item.drawing_id == Drawing.id)
            .where(Item.job_id == job_id)
            .group_by(Worker.host)
        ).all()
    return _by_host((host, count) for host, count in rows)


def drawn_so_far(database: Database) -> Counter[str]:
    """By host, how many faces it published in all jobs."""
    with database.read() as session:
        rows = session.execute(
            select(Worker.host, func.count())
            .join(Attempt, Attempt.worker_id == Worker.id)
            .join(Drawing, Drawing.attempt_id == Attempt.id)
            .group_by(Worker.host)
        ).all()
    return _by_host((host, count) for host, count in rows)


def holders(database: Database, job_id: str) -> set[str]:
    """Hosts that hold something of a job at this moment."""
    with database.read() as session:
        rows = session.scalars(
            select(Worker.host)
            .join(Attempt, Attempt.worker_id == Worker.id)
            .where(Attempt.job_id == job_id, Attempt.state == AttemptState.ACTIVE)
        ).all()
    return {host_of(row) for row in rows}


def until_drawn(place: Place, job: JobView, share: float) -> None:
    def enough() -> bool:
        with place.ledger() as database, database.read() as session:
            row = session.get_one(Job, job.id)
            return row.state in JOB_FINAL or row.done + row.cached + row.failed >= share * row.total

    until(enough)


def until(reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def until_the_store_gives(place: Place, job: JobView) -> None:
    """SeaweedFS answers some seconds before it finds again what it holds."""
    with place.ledger() as database, database.read() as session:
        key = session.scalar(
            select(Artifact.object_key)
            .join(Drawing, Drawing.face_id == Artifact.id)
            .join(Item, Item.drawing_id == Drawing.id)
            .where(Item.job_id == job.id)
            .limit(1)
        )
    assert key is not None

    def gives() -> bool:
        try:
            return bool(place.store.get(key))
        except StorageUnavailable:
            return False

    until(gives)


@contextmanager
def over_bad_cables(
    place: Place, hosts: Iterable[str], *, lost: float, late_seconds: float
) -> Iterator[list[BadCable]]:
    """Hosts have cables that lose a share of frames and bring the others late, each way."""
    with ExitStack() as stack:
        cables = []
        for host in hosts:
            stack.enter_context(place.timeline.span("bad cable", host))
            bad = place.network.bad_cable(host, lost=lost, late_seconds=late_seconds)
            cables.append(stack.enter_context(bad))
        yield cables


def seconds_to_connect(place: Place, host: str, server: str) -> float:
    """How long a connection takes from a host to a server's, there and back once."""
    told = subprocess.run(
        place.network.hosts[host].command([sys.executable, "-I", "-c", _CONNECT, server, _PORTS[server]]),
        check=True,
        capture_output=True,
        text=True,
    )
    return float(told.stdout)


_PORTS = {"postgres": "5432", "valkey": "6379"}
_CONNECT = """
import socket, sys, time
began = time.monotonic()
socket.create_connection((sys.argv[1], int(sys.argv[2])), 30).close()
print(time.monotonic() - began)
"""


def _by_host(rows: Iterable[tuple[str, int]]) -> Counter[str]:
    counted: Counter[str] = Counter()
    for host, count in rows:
        counted[host_of(host)] += count
    return counted
