"""What the queue itself costs: items that need no work, through submit, claim, commit and finalise.

`python -m benchmarks.queue [--items 10000] [--workers 1 2] [--ledger sqlite postgresql] [--rounds 3]`

The ledger's own functions do everything that they do for a real job: `create_job` writes the job, its items and its
doorbell, processes claim chunks and publish a face for each item (rows of a face, a spectrogram and a thumbnail, in
the fenced transaction; the bytes are left out), and the last one ends the job. Beside it, in turns in the same run,
one plain Celery task for each item on the same kind of broker, which raises a counter and does nothing else: what a
queue without a ledger costs, and does not keep.
"""

from __future__ import annotations

import argparse
import hashlib
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from multiprocessing.synchronize import Event, Semaphore
from pathlib import Path

from sqlalchemy import func, insert, select

from benchmarks.bulk import print_table
from benchmarks.plain_celery import Plain
from core.accounts import Role, create_user
from core.bootstrap import migrate
from core.chunks import ClaimedItem, InferChunk
from core.database import Database, now
from core.jobs import create_job
from core.leases import claim_chunk
from core.objects import StoredObject, face_key, recording_key, spectrogram_key, thumbnail_key
from core.results import Drawn, Outcome, publish_outcomes
from core.specs import InferSpec, NewItem
from core.states import JOB_FINAL, ItemState
from core.tables import Item, Job, ModelVersion, Recording, RecordingOwner
from core.workers import register_worker
from tests.servers import Postgres, start_valkey

ITEMS = 10_000
ROUNDS = 3
CHUNK = 256  # what the design allows a claim to hold
NEEDED_ON_SQLITE = 1_000.0  # items a second
NEEDED_OF_CELERY = 10.0
_ROWS_AT_ONCE = 5_000
_SPAWN = multiprocessing.get_context("spawn")


@dataclass(frozen=True)
class Run:
    """Seconds from the start of a submission to `queued`, and from there to the end of the job."""

    items: int
    queued: float
    worked: float

    @property
    def per_second(self) -> float:
        return self.items / (self.queued + self.worked)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--items", type=int, nargs="+", default=[ITEMS])
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument(
        "--ledger", nargs="+", choices=["sqlite", "postgresql"], default=["sqlite", "postgresql"]
    )
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--chunk", type=int, default=CHUNK)
    parser.add_argument("--celery-items", type=int, default=2_000, help="tasks of a plain Celery round")
    options = parser.parse_args()
    print(f"{os.cpu_count()} CPU cores, chunks of {options.chunk}, medians of {options.rounds}", flush=True)
    rows: list[tuple[str, ...]] = [
        ("ledger", "workers", "items", "queued in, s", "worked in, s", "items/s", "x plain Celery")
    ]
    missed = False
    with tempfile.TemporaryDirectory(prefix="voicesketch-queue-") as scratch:
        for workers in options.workers:
            plain: list[float] = []
            for kind in options.ledger:
                for items in options.items:
                    runs = []
                    for number in range(options.rounds):
                        folder = Path(scratch) / f"{kind}-{workers}-{items}-{number}"
                        runs.append(measure(kind, folder, items, workers, options.chunk))
                        if len(plain) < options.rounds:
                            plain.append(measure_plain(folder / "plain", options.celery_items, workers))
                    ratio = statistics.median(run.per_second for run in runs) / statistics.median(plain)
                    rows.append(row(kind, workers, items, runs, ratio))
                    missed |= is_missed(kind, runs, ratio)
                    print(f"{kind}, {workers} workers, {items} items: {rows[-1][5]} items/s", flush=True)
            rows.append(("plain Celery", str(workers), str(options.celery_items), "", "",
                         f"{statistics.median(plain):.0f}", "1.0"))  # fmt: skip
    print()
    print_table(rows)
    sys.exit(missed)


def row(kind: str, workers: int, items: int, runs: list[Run], ratio: float) -> tuple[str, ...]:
    """A line of the table: medians of the rounds."""
    return (
        kind,
        str(workers),
        str(items),
        f"{statistics.median(run.queued for run in runs):.2f}",
        f"{statistics.median(run.worked for run in runs):.2f}",
        f"{statistics.median(run.per_second for run in runs):.0f}",
        f"{ratio:.1f}",
    )


def is_missed(kind: str, runs: list[Run], ratio: float) -> bool:
    slow = kind == "sqlite" and statistics.median(run.per_second for run in runs) < NEEDED_ON_SQLITE
    return slow or ratio < NEEDED_OF_CELERY


def measure(kind: str, folder: Path, items: int, workers: int, chunk: int) -> Run:
    """One job of so many items on a fresh ledger, worked off by so many processes."""
    folder.mkdir(parents=True)
    with ledger(kind, folder) as url:
        migrate(url)
        database = Database(url)
        owner, hashes = furnish(database, items)
        with ExitStack() as stack:
            go, ready = _SPAWN.Event(), _SPAWN.Semaphore(0)
            processes = [
                _SPAWN.Process(target=work, args=(url, go, ready, chunk), daemon=True) for _ in range(workers)
            ]
            for process in processes:
                process.start()
                stack.callback(process.join)
                stack.callback(process.terminate)
            for _ in processes:
                ready.acquire()
            began = time.monotonic()
            with database.write() as session:
                job_id = create_job(
                    session,
                    owner_id=owner,
                    spec=InferSpec(model="default"),
                    items=[NewItem(key=one[:12], name=f"{one[:12]}.wav", recording=one) for one in hashes],
                    max_items=items,
                ).id
            queued = time.monotonic()
            go.set()
            while not is_over(database, job_id):
                if not all(process.is_alive() for process in processes):
                    raise SystemExit("A worker of the measurement died; see above.")
                time.sleep(0.02)
            ended = time.monotonic()
        audit(database, job_id, items)
        database.dispose()
    return Run(items, queued - began, ended - queued)


@contextmanager
def ledger(kind: str, folder: Path) -> Iterator[str]:
    """The address of a fresh, empty ledger."""
    if kind == "sqlite":
        yield f"sqlite+pysqlite:///{folder / 'ledger.sqlite3'}"
        return
    server = Postgres(folder / "postgresql", safe=True)
    try:
        with server.database() as url:
            yield url
    finally:
        server.stop()


def furnish(database: Database, items: int) -> tuple[str, list[str]]:
    """A user with that many recordings, and a model; answers the user's id and the recordings' hashes."""
    hashes = [hashlib.sha256(str(number).encode()).hexdigest() for number in range(items)]
    with database.write() as session:
        at = now(session)
        owner = create_user(session, "bench", Role.SUBMITTER).id
        session.add(
            ModelVersion(
                id="model_bench",
                name="default",
                version=1,
                sha256="0" * 64,
                files=[],
                config={},
                created_at=at,
            )
        )
        for first in range(0, items, _ROWS_AT_ONCE):
            some = hashes[first : first + _ROWS_AT_ONCE]
            session.execute(
                insert(Recording),
                [
                    {
                        "sha256": one,
                        "object_key": recording_key(one),
                        "size_bytes": 1000,
                        "media_type": "audio/wav",
                        "created_at": at,
                    }
                    for one in some
                ],
            )
            session.execute(
                insert(RecordingOwner), [{"sha256": one, "owner_id": owner, "created_at": at} for one in some]
            )
    return owner, hashes


def work(url: str, go: Event, ready: Semaphore, chunk: int) -> None:
    """A worker without a network: claims, publishes, and asks again until it is stopped."""
    database = Database(url)
    with database.write() as session:
        worker = register_worker(session, queue="gpu", device="cpu")
    ready.release()
    go.wait()
    while True:
        with database.write() as session:
            claimed = claim_chunk(session, worker, "gpu", size=chunk, lease_seconds=60.0)
        if claimed is None:
            time.sleep(0.01)
            continue
        assert isinstance(claimed, InferChunk)
        outcomes: list[Outcome] = [drawn(claimed, item) for item in claimed.items]
        with database.write() as session:
            publish_outcomes(session, claimed, outcomes)


def drawn(chunk: InferChunk, item: ClaimedItem) -> Drawn:
    """What a worker that drew would publish."""
    where = (chunk.job_id, chunk.token, item.id)
    return Drawn(
        item_id=item.id,
        recording_sha256=item.recording_sha256,
        face=StoredObject("face", face_key(*where), "image/png", 50_000, "0" * 64),
        spectrogram=StoredObject("spectrogram", spectrogram_key(*where), "image/png", 20_000, "1" * 64),
        thumbnail=StoredObject("thumbnail", thumbnail_key(*where), "image/webp", 3_000, "2" * 64),
        seconds=0.01,
        duration_seconds=4.0,
    )


def is_over(database: Database, job_id: str) -> bool:
    with database.read() as session:
        return session.scalar(select(Job.state).where(Job.id == job_id)) in JOB_FINAL


def audit(database: Database, job_id: str, items: int) -> None:
    """Nothing is measured that did not really happen: every item is done and has a drawing of its own."""
    with database.read() as session:
        done, drawings = session.execute(
            select(func.count(), func.count(Item.drawing_id.distinct())).where(
                Item.job_id == job_id, Item.state == ItemState.DONE
            )
        ).one()
    if (done, drawings) != (items, items):
        raise SystemExit(
            f"{done} items done with {drawings} drawings, of {items}: the run is not worth a number."
        )


def measure_plain(folder: Path, items: int, workers: int) -> float:
    """Items a second of plain Celery: one task for each, sent one after the other as its users do."""
    folder.mkdir(parents=True)
    broker = start_valkey(folder)
    try:
        with Plain(broker.url, folder, workers) as plain:
            began = time.monotonic()
            plain.send(items)
            plain.wait_for(items)
            return items / (time.monotonic() - began)
    finally:
        broker.child.stop(10)


if __name__ == "__main__":
    main()
