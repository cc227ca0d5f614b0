"""Bulk inference measured: how fast, what it costs in memory, and what is left after the worst that can happen.

`python -m benchmarks.bulk [FOLDER]` runs everything on fresh data folders. The folder defaults to the 144 recordings
of ravdess_mini beside the checkout, and to the bundled samples where those are not there. Everything is counted in the
ledger afterwards, row by row.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from core.client_views import JobView
from core.stack.inspection import memory
from core.submitting.intake import take_in_paths
from core.submitting.submission import PATIENCE_SECONDS, download, wait
from tests.end_to_end.house import Audit, House, audit

CHECKOUT = Path(__file__).resolve().parent.parent
KILLS = 3
MIB = 2**20


@dataclass(frozen=True)
class Run:
    """How one job went."""

    what: str
    recordings: int
    faces: int
    wall_seconds: float
    audit: Audit

    def row(self) -> tuple[str, ...]:
        return (
            self.what,
            f"{self.faces} of {self.recordings}",
            f"{self.wall_seconds:.1f}",
            f"{self.recordings / self.wall_seconds:.2f}",
            f"{self.audit.final}",
            "yes" if self.audit.each_ended_once else "NO",
            "yes" if self.audit.each_drawn_once else "NO",
            f"{self.audit.attempts['lost']}",
        )


COLUMNS = ("run", "faces", "wall s", "per s", "final rows", "ended once", "drawn once", "lost claims")
Trouble = Callable[[House, JobView], None]


def undisturbed(house: House, job: JobView) -> None:
    """Nothing happens."""


def three_kills(house: House, job: JobView) -> None:
    """`kill -9` for the process that draws, at a tenth, two fifths and seven tenths of the way."""
    for share in (0.1, 0.4, 0.7):
        house.wait_for_faces(job.id, round(share * job.total))
        house.kill_who_draws(job.id)


def power_cut(house: House, job: JobView) -> None:
    """`kill -9` for every process of the stack in mid-job, then a new start."""
    house.wait_for_faces(job.id, round(0.4 * job.total))
    house.kill_everything()
    house.start()


def restart(house: House, job: JobView) -> None:
    """SIGTERM for the stack in mid-job, as Ctrl-C does it, then a new start."""
    house.wait_for_faces(job.id, round(0.4 * job.total))
    house.stop()
    house.start()


def measure(what: str, house: House, folder: Path, out: Path, trouble: Trouble) -> Run:
    began = time.monotonic()
    job = house.submit([folder], what)
    trouble(house, job)
    ended = wait(house.client, job.id, patience_seconds=PATIENCE_SECONDS)
    got = download(house.client, job.id, out)
    wall = time.monotonic() - began
    with house.ledger() as database:
        found = audit(database, job.id)
    pictures = sum(1 for picture in out.glob("*.png") if picture.name != "contact_sheet.png")
    assert pictures == got.faces == ended.with_face
    return Run(what, ended.total, pictures, wall, found)


@contextmanager
def fresh_house() -> Iterator[tuple[House, Path]]:
    with tempfile.TemporaryDirectory(prefix="voicesketch-bench-") as folder:
        root = Path(folder)
        with House.open(root / "data", os.environ) as house:
            yield house, root


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument(
        "folder", nargs="?", type=Path, default=_default_folder(), help="recordings to draw"
    )
    folder = arguments.parse_args().folder
    total = len(take_in_paths([folder]).lines)
    print(f"{total} recordings in {folder}, {os.cpu_count()} CPU cores\n")
    runs: list[Run] = []
    began = time.monotonic()
    with fresh_house() as (house, root):
        print(f"The stack starts in {time.monotonic() - began:.1f} s.")
        idle = memory(house.running.folder)
        runs.append(measure("undisturbed", house, folder, root / "out", undisturbed))
        runs.append(measure("the same again", house, folder, root / "again", undisturbed))
        print_memory(idle, memory(house.running.folder))
    for what, trouble in (
        (f"{KILLS} kills", three_kills),
        ("restart in mid-job", restart),
        ("power cut in mid-job", power_cut),
    ):
        with fresh_house() as (house, root):
            runs.append(measure(what, house, folder, root / "out", trouble))
    print()
    print_table([COLUMNS, *(run.row() for run in runs)])
    if not all(run.audit.each_drawn_once and run.audit.final == run.recordings for run in runs):
        sys.exit(1)


def print_memory(idle: dict[str, object], after: dict[str, object]) -> None:
    """Resident memory, shared pages counted in each process that has them."""
    rows: list[tuple[str, ...]] = [("resident memory, MiB", "idle", "after a job")]
    before, later = idle["rss_bytes"], after["rss_bytes"]
    assert isinstance(before, dict)
    assert isinstance(later, dict)
    rows += [(name, f"{before.get(name, 0) / MIB:.0f}", f"{later[name] / MIB:.0f}") for name in later]
    rows.append(("all", f"{sum(before.values()) / MIB:.0f}", f"{sum(later.values()) / MIB:.0f}"))
    print()
    print_table(rows)


def print_table(rows: list[tuple[str, ...]]) -> None:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for number, row in enumerate(rows):
        first, *others = (
            cell.ljust(w) if not at else cell.rjust(w)
            for at, (cell, w) in enumerate(zip(row, widths, strict=True))
        )
        print("  ".join([first, *others]).rstrip())
        if number == 0:
            print("  ".join("-" * width for width in widths))


def _default_folder() -> Path:
    beside = CHECKOUT.parent / "shared" / "data" / "ravdess_mini"
    return beside if beside.is_dir() else CHECKOUT / "samples"


if __name__ == "__main__":
    main()
