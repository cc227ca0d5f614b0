"""How many workers a PostgreSQL ledger carries, and how large a backlog: real claims, heartbeats and commits, no model.

`python -m benchmarks simulation [--quick] [--keep numbers.json] [--pictures docs/pictures]`

Simulated workers (`benchmarks/simulation_workers.py`) say to the ledger all that real ones say, with the functions and
connections that real ones use, against a server of its own whose commits are on disk before they are told. Numbers of
workers, sizes of the backlog and the number of jobs that it is spread over are varied in turn, once with workers whose
devices need no time, so that the ledger is the limit, and once with workers of a given speed. Each point is printed and
kept as it comes, and left out when it is there already; curves are drawn from what is kept.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil
from sqlalchemy import func, select

from benchmarks.simulation_backlog import fill, prepare, waiting
from benchmarks.simulation_server import connected, fresh_server, processor_seconds
from benchmarks.simulation_watch import forget_statements, statements, watching, written
from benchmarks.simulation_workers import Crowd, Kind, Told, crowd
from core.ledger.database import Database
from core.ledger.tables import Drawing, Item, Job
from core.states import ItemState

OWNERS = 20
_TOP_UP_SECONDS = 0.25
_PROCESSES = 4


@dataclass(frozen=True)
class Point:
    """What is varied."""

    backlog: int
    jobs: int
    workers: int
    rate: float  # items a second of each worker's device; 0: no time at all
    chunk: int

    @property
    def name(self) -> str:
        speed = f"{self.rate:g} items/s each" if self.rate else "flat out"
        return f"{self.workers} workers {speed}, {self.backlog:,} waiting in {self.jobs} jobs, chunks of {self.chunk}"


def main() -> None:
    options = _options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # the server goes with it, too
    results = _kept(options.keep)
    for (backlog, jobs), some in itertools.groupby(_points(options), key=lambda one: (one.backlog, one.jobs)):
        missing = [point for point in some if options.again or point.name not in results]
        if not missing:
            continue
        with fresh_server(options.folder, dict(options.set)) as url:
            began = time.monotonic()
            prepare(url, min(OWNERS, jobs))
            fill(url, backlog, jobs)
            print(
                f"{backlog:,} items in {jobs} jobs: written in {time.monotonic() - began:.0f} s", flush=True
            )
            for point in missing:
                if options.statements:
                    forget_statements(url)
                result = measure(url, point, options.warm, options.seconds)
                results[point.name] = result
                _keep(options.keep, results)
                print(_line(point, result), flush=True)
                if options.statements:
                    _print_statements(url)
            audit(url)
    if options.pictures:
        from benchmarks.simulation_pictures import draw  # matplotlib takes a second to load

        draw(list(results.values()), options.pictures)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks simulation", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--quick", action="store_true", help="small and short")
    parser.add_argument("--workers", type=int, nargs="+", help="1, 10, 50, 100 and 200")
    parser.add_argument("--backlog", type=int, nargs="+", help="10,000, 1,000,000 and 10,000,000")
    parser.add_argument("--jobs", type=int, nargs="+", help="that the backlog is spread over; 20")
    parser.add_argument(
        "--rate", type=float, nargs="+", help="items a second of a worker; 0 (no time at all)"
    )
    parser.add_argument("--chunk", type=int, nargs="+", default=[32], help="items of a claim")
    parser.add_argument("--seconds", type=float, default=None, help="that each point is measured for; 15")
    parser.add_argument("--warm", type=float, default=None, help="seconds before them; 5")
    parser.add_argument(
        "--keep", type=Path, help="JSON file of the results; what is in it is not measured again"
    )
    parser.add_argument("--again", action="store_true", help="measure it again all the same")
    parser.add_argument("--folder", type=Path, help="for the ledger: 15 GB for ten million items")
    parser.add_argument(
        "--set", type=_setting, action="append", default=[], metavar="NAME=VALUE", help="of the server"
    )
    parser.add_argument("--statements", action="store_true", help="print what each statement took")
    parser.add_argument("--pictures", type=Path, help="folder for the curves")
    options = parser.parse_args()
    usual = (
        ([5], [5_000], [4], [0.0], 1.0, 3.0)
        if options.quick
        else ([1, 10, 50, 100, 200], [10_000, 1_000_000, 10_000_000], [20], [0.0], 5.0, 15.0)
    )
    names = ("workers", "backlog", "jobs", "rate", "warm", "seconds")
    for name, value in zip(names, usual, strict=True):
        if getattr(options, name) is None:
            setattr(options, name, value)
    return options


def _setting(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not separator:
        raise argparse.ArgumentTypeError("NAME=VALUE is wanted")
    return name, value


def _points(options: argparse.Namespace) -> list[Point]:
    """In the order in which they share ledgers."""
    return [
        Point(*values)
        for values in itertools.product(
            options.backlog, options.jobs, options.workers, options.rate, options.chunk
        )
    ]


def measure(
    url: str, point: Point, warm: float, seconds: float, processes: int = _PROCESSES, least: int = 0
) -> dict[str, Any]:
    """One point, on a ledger that holds its backlog.

    Args:
        warm: seconds until the measurement begins; workers of a given speed get a chunk's time besides.
        processes: that the workers share.
        least: items that are done before it ends, however long that takes.
    """
    with connected(url) as connection:
        lacking = point.backlog - waiting(connection)
    if lacking > point.backlog // 20:
        fill(url, lacking, point.jobs)
    kind = Kind(point.chunk, point.rate)
    with crowd(url, point.workers, min(point.workers, processes), kind) as working:
        with _topped_up(url, point):
            working.start()
            time.sleep(warm + kind.chunk_seconds)  # until all of them are at work
            before = _snapshot(url, working)
            with watching(url) as seen:
                time.sleep(seconds)
                while _done(url) < least:
                    time.sleep(_TOP_UP_SECONDS)
            after = _snapshot(url, working)
        heard = working.end()
    took = after["at"] - before["at"]
    told = [one for one in heard.told if before["at"] <= one.began + one.seconds < after["at"]]
    items = sum(one.items for one in told if one.what == "publish")
    return {
        **asdict(point),
        "seconds": round(took, 2),
        "items_per_second": round(items / took, 1),
        "claims_per_second": round(_count(told, "claim") / took, 1),
        "publications_per_second": round(_count(told, "publish") / took, 1),
        "milliseconds": {what: _latency(told, what) for what in ("claim", "publish", "listen", "beat")},
        "lost": heard.lost,
        "server_ms_of_a_core_an_item": _an_item(after["server"] - before["server"], items),
        "workers_ms_of_a_core_an_item": _an_item(after["workers"] - before["workers"], items),
        "server_cores": round((after["server"] - before["server"]) / took, 2),
        "connections": after["written"]["connections"],
        "waiting_connections": seen.means(),
        "locks_not_granted": seen.lock_means(),
        "log_bytes_an_item": round(
            (after["written"]["log_bytes"] - before["written"]["log_bytes"]) / max(items, 1)
        ),
        "deadlocks": after["written"]["deadlocks"] - before["written"]["deadlocks"],
        "tables": _tables(before["written"]["tables"], after["written"]["tables"]),
        "machine": f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}",
    }


@contextmanager
def _topped_up(url: str, point: Point) -> Iterator[None]:
    """Keeps small backlogs from running out: another job comes whenever half of it is gone."""
    ended = threading.Event()

    def top_up() -> None:
        with connected(url) as connection:
            while not ended.wait(_TOP_UP_SECONDS):
                if waiting(connection) < point.backlog / 2:
                    fill(url, min(point.backlog // 2, 100_000), max(1, point.jobs // 2))

    thread = threading.Thread(target=top_up, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _snapshot(url: str, working: Crowd) -> dict[str, Any]:
    with connected(url) as connection:
        counted, of_server = written(connection), processor_seconds(connection)
    spent = 0.0
    for pid in working.pids:
        times = psutil.Process(pid).cpu_times()
        spent += times.user + times.system
    return {
        "written": counted,
        "workers": spent,
        "server": of_server,
        "at": time.monotonic(),
    }


def _done(url: str) -> int:
    with connected(url) as connection:
        row = connection.execute("SELECT coalesce(sum(done), 0) FROM jobs WHERE queue = 'gpu'").fetchone()
    assert row is not None
    return int(row[0])


def _count(told: Sequence[Told], what: str) -> int:
    return sum(one.what == what for one in told)


def _latency(told: Sequence[Told], what: str) -> dict[str, float]:
    spent = sorted(1000 * one.seconds for one in told if one.what == what)
    if not spent:
        return {}
    return {
        name: round(spent[math.ceil(share * len(spent)) - 1], 1)
        for name, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99))
    }


def _an_item(seconds: float, items: int) -> float:
    return round(1000 * seconds / max(items, 1), 3)


def _tables(before: dict[str, dict[str, int]], after: dict[str, dict[str, int]]) -> dict[str, dict[str, Any]]:
    """What was done to each table, and how large it is in the end."""
    sizes = ("rows", "dead", "table_bytes", "index_bytes")
    return {
        table: {
            name: value if name in sizes else value - before[table][name] for name, value in counts.items()
        }
        for table, counts in after.items()
    }


def audit(url: str) -> None:
    """Nothing is measured that did not really happen: counters, items and drawings agree.

    Raises:
        SystemExit: they do not.
    """
    database = Database(url)
    try:
        with database.read() as session:
            counted = session.scalar(select(func.sum(Job.done)).where(Job.queue == "gpu")) or 0
            done = session.scalar(
                select(func.count()).where(Item.drawing_id.is_not(None), Item.state == ItemState.DONE)
            )
            drawings = session.scalar(select(func.count()).select_from(Drawing))
    finally:
        database.dispose()
    if not counted == done == drawings:
        raise SystemExit(f"{counted} items counted, {done} done, {drawings} drawings: nothing was measured.")


def _line(point: Point, result: dict[str, Any]) -> str:
    claim, publish = (result["milliseconds"][what] for what in ("claim", "publish"))
    return (
        f"{point.name}: {result['items_per_second']:,.0f} items/s, {result['claims_per_second']:,.0f} claims/s; "
        f"claim {_said(claim)}, publish {_said(publish)} ms (p50/p95/p99); "
        f"server {result['server_ms_of_a_core_an_item']} ms of a core an item ({result['server_cores']} cores), "
        f"workers {result['workers_ms_of_a_core_an_item']}; waiting {result['waiting_connections']}; "
        f"{result['connections']} connections; {result['log_bytes_an_item']} bytes of log an item"
    )


def _said(latency: dict[str, float]) -> str:
    return "/".join(f"{value:g}" for value in latency.values()) or "none"


def _print_statements(url: str) -> None:
    for calls, spent, text in statements(url):
        print(f"    {spent:9,.0f} ms {calls:8,} × {spent / calls:8.3f} ms  {text}")


def _kept(file: Path | None) -> dict[str, dict[str, Any]]:
    if file is None or not file.exists():
        return {}
    kept: dict[str, dict[str, Any]] = json.loads(file.read_text())
    return kept


def _keep(file: Path | None, results: dict[str, dict[str, Any]]) -> None:
    if file is None:
        return
    new = file.with_suffix(".new")
    new.write_text(json.dumps(results, indent=1))
    new.replace(file)


if __name__ == "__main__":
    main()
