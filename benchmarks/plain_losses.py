"""What plain Celery loses and doubles when things go wrong: `python -m benchmarks.plain_losses [--rounds 3]`.

One task for each item, acknowledged late, with a visibility timeout: the recipe that is usually given for work that
must not be lost. Each task takes a few milliseconds and then counts itself, by its number, outside of the broker. A
fault comes when a third of the items is done. After that the queue is left alone until nothing has moved for longer
than the visibility timeout. `tests/faults` puts our own queue through the same, and allows it neither.
"""

from __future__ import annotations

import argparse
import os
import signal
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.bulk import print_table
from benchmarks.plain_celery import Plain
from core.stack import ports, valkey
from core.stack.child import Child
from tests.servers import PASSWORD

ITEMS = 600
ROUNDS = 3
VISIBILITY_SECONDS = 10.0
# Longer than it takes a message to be seen again, and a restored one to be worked on.
QUIET_SECONDS = 6 * VISIBILITY_SECONDS


class Broker:
    """A Valkey that can die and come back on the same port with what it had written down."""

    def __init__(self, folder: Path) -> None:
        self._port = ports.choose(["valkey"])["valkey"]
        folder.mkdir(parents=True)
        self._program = valkey.program(folder, folder / "valkey.log", self._port, PASSWORD, dict(os.environ))
        self._child = Child(self._program)
        self.start()

    @property
    def url(self) -> str:
        return valkey.url(self._port, PASSWORD)

    def start(self) -> None:
        self._child = Child(self._program)
        self._child.start()
        self._child.wait_until_ready()

    def kill(self) -> None:
        self._child.kill()

    def stop(self) -> None:
        self._child.stop(10)


Fault = Callable[[Plain, Broker], None]


def nothing(plain: Plain, broker: Broker) -> None:
    """Nothing goes wrong."""


def child_killed(plain: Plain, broker: Broker) -> None:
    """kill -9 of the process that works."""
    workers = plain.family()[1:]
    os.kill(workers[-1].pid, signal.SIGKILL)


def worker_killed(plain: Plain, broker: Broker) -> None:
    """kill -9 of the whole worker, which is started again."""
    plain.kill()
    plain.start()


def worker_asleep(plain: Plain, broker: Broker) -> None:
    """The worker sleeps past the visibility timeout, while another works, and wakes."""
    sleeping = plain.family()
    for process in sleeping:
        process.suspend()
    plain.start()
    time.sleep(2 * VISIBILITY_SECONDS)
    for process in sleeping:
        process.resume()
    plain.also_ends(sleeping)


def broker_killed(plain: Plain, broker: Broker) -> None:
    """kill -9 of the broker, which comes back with its append-only file."""
    broker.kill()
    broker.start()


def broker_forgets(plain: Plain, broker: Broker) -> None:
    """The broker comes back with nothing."""
    plain.forget_queue()


FAULTS: dict[str, Fault] = {
    "nothing": nothing,
    "working process killed": child_killed,
    "worker killed": worker_killed,
    "worker asleep past the timeout": worker_asleep,
    "broker killed": broker_killed,
    "broker comes back empty": broker_forgets,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--items", type=int, default=ITEMS)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    options = parser.parse_args()
    rows: list[tuple[str, ...]] = [("what went wrong", "items", "lost", "run twice or more")]
    with tempfile.TemporaryDirectory(prefix="voicesketch-losses-") as scratch:
        for name, fault in FAULTS.items():
            lost, doubled = [], []
            for number in range(options.rounds):
                runs = play(Path(scratch) / f"{name}-{number}".replace(" ", "-"), options.items, fault)
                lost.append(options.items - len(runs))
                doubled.append(sum(count > 1 for count in runs.values()))
            rows.append(
                (
                    name,
                    str(options.items),
                    f"{statistics.median(lost):.0f}",
                    f"{statistics.median(doubled):.0f}",
                )
            )
            print(f"{name}: lost {lost}, doubled {doubled}", flush=True)
    print()
    print_table(rows)


def play(folder: Path, items: int, fault: Fault) -> dict[int, int]:
    """How often each item that ran at all has run."""
    broker = Broker(folder / "broker")
    counts = Broker(folder / "counts")
    try:
        with Plain(
            broker.url, folder, workers=2, counts_url=counts.url, visibility_seconds=VISIBILITY_SECONDS
        ) as plain:
            plain.send(items, milliseconds=5)
            plain.wait_for(items // 3)
            fault(plain, broker)
            plain.wait_until_quiet(QUIET_SECONDS)
            return plain.runs()
    finally:
        for server in (broker, counts):
            server.stop()


if __name__ == "__main__":
    main()
