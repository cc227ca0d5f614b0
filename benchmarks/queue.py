"""What the queue itself costs: items that need no work, through submit, claim, commit and finalise.

`voicesketch bench queue [--quick] [--ledger sqlite postgresql] [--items 10000 100000 1000000] [--workers 1 2 4]`

The ledger's own functions do everything that they do for a real job: `create_job` writes the job, its items and its
doorbell, processes claim chunks and publish a face for each item (rows of a face, a spectrogram and a thumbnail, in
the fenced transaction; the bytes are left out), and the last one ends the job. Beside it, in turns in the same run,
one plain Celery task for each item on the same kind of broker, which raises a counter and does nothing else: what a
queue without a ledger costs, and does not keep. The last part submits ten items behind 100,000 of somebody else and
looks when their turn comes. Exits with 1 where a number is missed that the project holds itself to.
"""

from __future__ import annotations

import argparse
import math
import os
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import select

from benchmarks.bulk import print_table
from benchmarks.plain_celery import Plain
from benchmarks.queue_ledger import audit, fresh_ledger, furnish, opened, submit, workers
from core.ledger.database import Database
from core.ledger.tables import Attempt, Job
from tests.servers import start_valkey

CHUNK = 256  # what the design allows a claim to hold
LARGE = 1_000_000  # measured once, and with one worker
NEEDED_ON_SQLITE = 1_000.0  # items a second
NEEDED_OF_CELERY = 10.0
NEEDED_TO_QUEUE = (100_000, 30.0)  # so many items, in so many seconds
NEEDED_OF_SMALL = 1.15  # an item of the largest job to one of the smallest
NEEDED_TURN = 2.0  # chunk times until a small job behind a large one has its turn
FAIRNESS_ITEM_SECONDS = 0.001  # a small and fast network


@dataclass(frozen=True)
class Run:
    """Seconds from the start of a submission to `queued`, and from there to the end of the job."""

    items: int
    queued: float
    worked: float

    @property
    def per_second(self) -> float:
        return self.items / (self.queued + self.worked)


@dataclass
class Report:
    """What was measured so far, and what was missed."""

    rows: list[tuple[str, ...]]
    missed: list[str] = field(default_factory=list)

    def hold(self, what: str, value: float, *, least: float = 0.0, most: float = math.inf) -> None:
        """Notes what is not between the two."""
        if not least <= value <= most:
            wanted = f"at least {least:,.2f}" if value < least else f"at most {most:,.2f}"
            self.missed.append(f"{what}: {value:,.2f}, and {wanted} is wanted")


def main() -> None:
    options = _options()
    print(f"{os.cpu_count()} CPU cores, chunks of {options.chunk}, medians of {options.rounds}", flush=True)
    report = Report(
        [("ledger", "workers", "items", "queued in, s", "worked in, s", "items/s", "µs an item", "x Celery")]
    )
    with tempfile.TemporaryDirectory(prefix="voicesketch-queue-", dir=options.folder) as scratch:
        for number in options.workers:
            measure_workers(report, Path(scratch) / str(number), number, options)
        print()
        print_table(report.rows)
        print()
        for kind in options.ledger:
            measure_fairness(report, Path(scratch) / f"turns-{kind}", kind, options)
    if options.quick:
        print("A quick run: its numbers show that everything works, and are held to nothing.")
        return
    for line in report.missed:
        print(f"MISSED  {line}")
    sys.exit(bool(report.missed))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="voicesketch bench queue", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--quick", action="store_true", help="small, once, and held to nothing")
    parser.add_argument("--items", type=int, nargs="+", help="of a job; 10,000, 100,000 and 1,000,000")
    parser.add_argument("--workers", type=int, nargs="+", help="processes; 1, 2 and 4")
    kinds = ["sqlite", "postgresql"]
    parser.add_argument("--ledger", nargs="+", choices=kinds, default=kinds)
    parser.add_argument("--rounds", type=int, help="of which the median counts; 3")
    parser.add_argument("--chunk", type=int, default=CHUNK, help="items of a claim")
    parser.add_argument("--celery-items", type=int, help="tasks of a round of plain Celery; 2,000")
    parser.add_argument("--behind", type=int, help="items before the ten whose turn is awaited; 100,000")
    parser.add_argument("--folder", type=Path, help="for the ledgers; a fast local disk")
    options = parser.parse_args()
    usual = (
        ([2_000], [1], 1, 500, 5_000)
        if options.quick
        else ([10_000, 100_000, LARGE], [1, 2, 4], 3, 2_000, 100_000)
    )
    for name, value in zip(("items", "workers", "rounds", "celery_items", "behind"), usual, strict=True):
        if getattr(options, name) is None:
            setattr(options, name, value)
    return options


def measure_workers(report: Report, folder: Path, number: int, options: argparse.Namespace) -> None:
    """Every ledger and size with so many workers, and plain Celery with as many processes in turns with them."""
    plain: list[float] = []
    medians: dict[tuple[str, int], tuple[float, float, float]] = {}
    for kind in options.ledger:
        for items in sorted(options.items):
            if items >= LARGE and number != min(options.workers):
                continue
            runs = []
            for turn in range(1 if items >= LARGE else options.rounds):
                place = folder / f"{kind}-{items}-{turn}"
                runs.append(measure(kind, place, items, number, options.chunk))
                said = f"{kind}, {number} workers, {items:,} items: {runs[-1].per_second:,.0f} items/s"
                if len(plain) < options.rounds:
                    plain.append(measure_plain(folder / f"plain-{len(plain)}", options.celery_items, number))
                    said += f"; plain Celery: {plain[-1]:,.0f}"
                print(said, flush=True)
            medians[kind, items] = (
                statistics.median(run.queued for run in runs),
                statistics.median(run.worked for run in runs),
                statistics.median(run.per_second for run in runs),
            )
    celery = statistics.median(plain)
    report.rows.append(
        (
            "plain Celery",
            str(number),
            f"{options.celery_items:,}",
            "",
            "",
            f"{celery:,.0f}",
            f"{1e6 / celery:,.0f}",
            "1.0",
        )
    )
    for (kind, items), (queued, worked, per_second) in medians.items():
        report.rows.append(
            (
                kind,
                str(number),
                f"{items:,}",
                f"{queued:.2f}",
                f"{worked:.2f}",
                f"{per_second:,.0f}",
                f"{1e6 / per_second:,.0f}",
                f"{per_second / celery:.1f}",
            )
        )
        what = f"{kind}, {number} workers, {items:,} items"
        if kind == "sqlite":
            report.hold(f"{what}, items/s", per_second, least=NEEDED_ON_SQLITE)
        report.hold(f"{what}, times plain Celery", per_second / celery, least=NEEDED_OF_CELERY)
        if items == NEEDED_TO_QUEUE[0]:
            report.hold(f"{what}, seconds until queued", queued, most=NEEDED_TO_QUEUE[1])
        smallest = medians[kind, min(options.items)][2]
        report.hold(
            f"{what}, cost of an item in times of a small job's", smallest / per_second, most=NEEDED_OF_SMALL
        )


def measure(kind: str, folder: Path, items: int, number: int, chunk: int) -> Run:
    """One job of so many items on a fresh ledger, worked off by so many processes."""
    with fresh_ledger(kind, folder) as url, opened(url) as database:
        owner_id, hashes = furnish(database, "bench", items)
        with workers(url, number, chunk) as working:
            began = time.monotonic()
            job_id = submit(database, owner_id, hashes)
            queued = time.monotonic()
            working.start()
            working.work_off(database, job_id)
            ended = time.monotonic()
        audit(database, job_id, items)
    return Run(items, queued - began, ended - queued)


def measure_plain(folder: Path, items: int, number: int) -> float:
    """Items a second of plain Celery: one task for each, sent one after the other as its users do."""
    folder.mkdir(parents=True)
    broker = start_valkey(folder)
    try:
        with Plain(broker.url, folder, number) as plain:
            began = time.monotonic()
            plain.send(items)
            plain.wait_for(items)
            return items / (time.monotonic() - began)
    finally:
        broker.child.stop(10)


def measure_fairness(report: Report, folder: Path, kind: str, options: argparse.Namespace) -> None:
    """When ten items have their turn that somebody submits behind a job of 100,000 of somebody else."""
    waited: list[float] = []
    for turn in range(options.rounds):
        with fresh_ledger(kind, folder / str(turn)) as url, opened(url) as database:
            many = furnish(database, "many", options.behind)
            few = furnish(database, "few", 10)
            with workers(url, 1, options.chunk, item_seconds=FAIRNESS_ITEM_SECONDS) as working:
                before = submit(database, *many)
                working.start()
                _wait_for_chunks(database, before, 4)
                behind = submit(database, *few)
                working.work_off(database, behind)
            waited.append(_turn(database, before, behind))
    median = statistics.median(waited)
    print(
        f"{kind}: ten items behind {options.behind:,} of somebody else had their turn after {median:.2f} chunk times"
    )
    report.hold(f"{kind}, chunk times until a small job has its turn", median, most=NEEDED_TURN)


def _wait_for_chunks(database: Database, job_id: str, chunks: int) -> None:
    since = time.monotonic()
    while time.monotonic() - since < 120.0:
        with database.read() as session:
            if (session.scalar(select(Job.token).where(Job.id == job_id)) or 0) > chunks:
                return
        time.sleep(0.02)
    raise SystemExit("Nobody claimed anything for two minutes.")


def _turn(database: Database, before: str, behind: str) -> float:
    """From `queued` to the first claim, in medians of the time that a chunk of the job before it took."""
    with database.read() as session:
        attempts = session.scalars(select(Attempt).where(Attempt.job_id == before)).all()
        job = session.get_one(Job, behind)
    chunk = statistics.median(
        (one.ended_at - one.started_at).total_seconds() for one in attempts if one.ended_at is not None
    )
    assert job.queued_at is not None
    assert job.started_at is not None
    return (job.started_at - job.queued_at).total_seconds() / chunk


if __name__ == "__main__":
    main()
