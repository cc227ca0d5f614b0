"""What we are held against: Celery as its documentation shows it, one task for each item, acknowledged late.

Run as a Celery application: `celery -A benchmarks.plain_celery worker`, with two addresses in the environment: the
broker's, and that of a second server in which each task counts itself, since the broker may be what goes wrong.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil
import redis
from celery import Celery

BROKER, COUNTS, VISIBILITY = (f"VOICESKETCH_BENCH_{name}" for name in ("BROKER", "COUNTS", "VISIBILITY"))
_RUNS = "plain:runs"
_START_SECONDS = 60.0

app: Any = Celery("plain", broker=os.environ.get(BROKER, "redis://"))
app.conf.update(
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    task_ignore_result=True,
    worker_prefetch_multiplier=4,
    broker_connection_retry_on_startup=True,
    broker_transport_options={"visibility_timeout": float(os.environ.get(VISIBILITY, "3600"))},
)
_counts: Any = None


@app.task(name="plain.item")  # type: ignore[untyped-decorator]
def item(number: int, milliseconds: float = 0.0) -> None:
    """Takes so long, and says that it ran: the least a user would want to know."""
    global _counts
    if _counts is None:
        _counts = redis.Redis.from_url(os.environ[COUNTS])
    if milliseconds:
        time.sleep(milliseconds / 1000)
    _counts.hincrby(_RUNS, str(number), 1)


class Plain:
    """Workers of that application, and the one who sends."""

    def __init__(
        self,
        broker_url: str,
        folder: Path,
        workers: int,
        *,
        counts_url: str | None = None,
        visibility_seconds: float = 3600.0,
    ) -> None:
        self._environment = {
            **os.environ,
            BROKER: broker_url,
            COUNTS: counts_url or broker_url,
            VISIBILITY: str(visibility_seconds),
        }
        self._command = [
            sys.executable, "-m", "celery", "-A", "benchmarks.plain_celery", "worker",
            "--concurrency", str(workers), "--loglevel", "warning", "--without-gossip", "--without-mingle",
        ]  # fmt: skip
        self._log = folder / "celery.log"
        self._broker_url = broker_url
        self._counts: Any = redis.Redis.from_url(counts_url or broker_url)
        self._process: subprocess.Popen[bytes] | None = None
        self._others: list[psutil.Process] = []

    def __enter__(self) -> Self:
        self.start()
        self.send(1)
        self.wait_for(1)  # started, and connected
        self._counts.delete(_RUNS)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        self._counts.close()

    def start(self) -> None:
        """Starts a worker; one that runs already goes on beside it."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, env=self._environment, stdout=log, stderr=subprocess.STDOUT
            )

    def family(self) -> list[psutil.Process]:
        """The worker, and the processes of its pool."""
        assert self._process is not None
        parent = psutil.Process(self._process.pid)
        return [parent, *parent.children(recursive=True)]

    def also_ends(self, processes: Sequence[psutil.Process]) -> None:
        """Has processes of an earlier worker killed with the last one."""
        self._others += processes

    def kill(self) -> None:
        assert self._process is not None
        for process in [*self.family(), *self._others]:
            try:
                process.kill()
            except psutil.NoSuchProcess:
                continue
        self._process.wait(_START_SECONDS)
        self._others.clear()

    def forget_queue(self) -> None:
        """Empties the broker."""
        with redis.Redis.from_url(self._broker_url) as broker:
            for key in broker.scan_iter(count=1000):
                broker.unlink(key)

    def send(self, items: int, milliseconds: float = 0.0) -> None:
        """Sends a task for each item over one connection, as a script does with `delay` in a loop."""
        with app.connection_for_write(self._broker_url) as connection:
            producer = app.amqp.Producer(connection)
            for number in range(items):
                item.apply_async((number, milliseconds), producer=producer)

    def runs(self) -> dict[int, int]:
        """How often each item has run."""
        return {int(number): int(count) for number, count in self._counts.hgetall(_RUNS).items()}

    def wait_for(self, items: int) -> None:
        """Until so many items have run.

        Raises:
            TimeoutError: none of them ran for a minute.
        """
        seen, since = -1, time.monotonic()
        while (done := int(self._counts.hlen(_RUNS))) < items:
            if done != seen:
                seen, since = done, time.monotonic()
            elif time.monotonic() - since > _START_SECONDS:
                raise TimeoutError(f"{done} of {items} tasks ran: see {self._log}")
            time.sleep(0.01)

    def wait_until_quiet(self, seconds: float) -> None:
        """Until nothing has run for so long."""
        seen, since = self.runs(), time.monotonic()
        while time.monotonic() - since < seconds:
            time.sleep(0.2)
            if (now := self.runs()) != seen:
                seen, since = now, time.monotonic()
