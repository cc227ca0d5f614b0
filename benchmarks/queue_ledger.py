"""A ledger to measure, and workers without a network that work it off: parts of `benchmarks.queue`."""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from multiprocessing.context import SpawnProcess
from multiprocessing.synchronize import Event, Semaphore
from pathlib import Path

from sqlalchemy import func, insert, select

from benchmarks.crews import waiting_crew
from core.bootstrap import migrate
from core.claims.chunks import ClaimedItem, InferChunk
from core.claims.leases import claim_chunk
from core.claims.results import Drawn, Outcome, publish_outcomes
from core.claims.workers import register_worker
from core.jobs import create_job
from core.ledger.database import Database, now
from core.ledger.prepared import table_of
from core.ledger.tables import Item, Job, ModelVersion, Recording, RecordingOwner
from core.objects import StoredObject, face_key, recording_key, spectrogram_key, thumbnail_key
from core.people.accounts import Role, create_user
from core.specs import InferSpec, NewItem
from core.states import JOB_FINAL, ItemState
from tests.servers import Postgres

_ROWS_AT_ONCE = 5_000
_SILENCE_SECONDS = 120.0  # without one item brought to its end, something is broken


@contextmanager
def fresh_ledger(kind: str, folder: Path) -> Iterator[str]:
    """The address of a new ledger with its tables; nothing is left of it afterwards."""
    folder.mkdir(parents=True)
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder)
        if kind == "sqlite":
            url = f"sqlite+pysqlite:///{folder / 'ledger.sqlite3'}"
        else:
            server = Postgres(folder / "postgresql", safe=True)
            stack.callback(server.stop)
            url = stack.enter_context(server.database())
        migrate(url)
        yield url


@contextmanager
def opened(url: str) -> Iterator[Database]:
    """The ledger, with a model in it."""
    database = Database(url)
    try:
        with database.write() as session:
            session.add(
                ModelVersion(
                    id="model_bench",
                    name="default",
                    version=1,
                    sha256="0" * 64,
                    files=[],
                    config={},
                    created_at=now(session),
                )
            )
        yield database
    finally:
        database.dispose()


def furnish(database: Database, owner: str, items: int) -> tuple[str, list[str]]:
    """A user who sent that many recordings; answers the user's id and the recordings' hashes."""
    hashes = [hashlib.sha256(f"{owner} {number}".encode()).hexdigest() for number in range(items)]
    with database.write() as session:
        at = now(session)
        owner_id = create_user(session, owner, Role.SUBMITTER).id
        session.flush()
        connection = session.connection()
        for first in range(0, items, _ROWS_AT_ONCE):
            some = hashes[first : first + _ROWS_AT_ONCE]
            recordings = [
                {
                    "sha256": one,
                    "object_key": recording_key(one),
                    "size_bytes": 1000,
                    "media_type": "audio/wav",
                    "created_at": at,
                }
                for one in some
            ]
            connection.execute(insert(table_of(Recording)), recordings)
            owners = [{"sha256": one, "owner_id": owner_id, "created_at": at} for one in some]
            connection.execute(insert(table_of(RecordingOwner)), owners)
    return owner_id, hashes


def submit(database: Database, owner_id: str, hashes: list[str]) -> str:
    """Submits a job with these recordings, as the service does; answers its id."""
    with database.write() as session:
        return create_job(
            session,
            owner_id=owner_id,
            spec=InferSpec(model="default"),
            items=[NewItem(key=one[:16], name=f"{one[:16]}.wav", recording=one) for one in hashes],
            max_items=len(hashes),
        ).id


@contextmanager
def workers(url: str, count: int, chunk: int, *, item_seconds: float = 0.0) -> Iterator[Workers]:
    """Processes that are connected and wait for the start."""
    arguments = [(url, chunk, item_seconds)] * count
    with waiting_crew(_work, arguments, patience_seconds=_SILENCE_SECONDS) as (go, processes):
        yield Workers(go, processes)


class Workers:
    """Processes that wait for the start, and work from there on."""

    def __init__(self, go: Event, processes: list[SpawnProcess]) -> None:
        self._go = go
        self._processes = processes

    def start(self) -> None:
        self._go.set()

    def work_off(self, database: Database, job_id: str) -> None:
        """Until a job is over.

        Raises:
            SystemExit: a worker died, or nothing came to its end for two minutes.
        """
        seen, since = -1, time.monotonic()
        while True:
            with database.read() as session:
                state, done = session.execute(select(Job.state, Job.done).where(Job.id == job_id)).one()
            if state in JOB_FINAL:
                return
            if done != seen:
                seen, since = done, time.monotonic()
            if time.monotonic() - since > _SILENCE_SECONDS:
                raise SystemExit(f"Nothing went on for {_SILENCE_SECONDS:.0f} s; {done} items were done.")
            if not all(process.is_alive() for process in self._processes):
                raise SystemExit("A worker of the measurement died; see above.")
            time.sleep(0.02)


def _work(ready: Semaphore, go: Event, url: str, chunk: int, item_seconds: float) -> None:
    """Claims, publishes, and asks again until it is stopped."""
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
        if item_seconds:
            time.sleep(item_seconds * len(claimed.items))
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


def audit(database: Database, job_id: str, items: int) -> None:
    """Nothing is measured that did not really happen: every item is done and has a drawing of its own.

    Raises:
        SystemExit: it is not so.
    """
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
