"""What we are held against: Celery as its documentation shows it, one task for each item, acknowledged late.

Run as a Celery application: `celery -A benchmarks.plain_celery worker`, with the broker's address in the environment.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import redis
from celery import Celery

BROKER = "VOICESKETCH_BENCH_BROKER"
_COUNTER = "plain:done"
_START_SECONDS = 60.0

app: Any = Celery("plain", broker=os.environ.get(BROKER, "redis://"))
app.conf.update(
    task_acks_late=True,
    task_ignore_result=True,
    worker_prefetch_multiplier=4,
    broker_connection_retry_on_startup=True,
)
_connection: redis.Redis | None = None


@app.task(name="plain.item")
def item(number: int) -> None:
    """Does nothing, and says that it did: the least a user would want to know."""
    global _connection
    if _connection is None:
        _connection = redis.Redis.from_url(os.environ[BROKER])
    _connection.incr(_COUNTER)


class Plain:
    """Workers of that application, and the one who sends."""

    def __init__(self, broker_url: str, folder: Path, workers: int) -> None:
        self._environment = {**os.environ, BROKER: broker_url}
        self._command = [
            sys.executable, "-m", "celery", "-A", "benchmarks.plain_celery", "worker",
            "--concurrency", str(workers), "--loglevel", "warning", "--without-gossip", "--without-mingle",
        ]  # fmt: skip
        self._log = (folder / "celery.log").open("wb")
        self._redis = redis.Redis.from_url(broker_url)
        app.conf.broker_url = broker_url
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            self._command, env=self._environment, stdout=self._log, stderr=subprocess.STDOUT
        )
        self.send(1)
        self.wait_for(1)  # started, and connected
        self._redis.delete(_COUNTER)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process is not None
        self._process.terminate()
        self._process.wait(_START_SECONDS)
        self._log.close()
        self._redis.close()

    def send(self, items: int) -> None:
        for number in range(items):
            item.delay(number)

    def wait_for(self, items: int) -> None:
        """Until so many tasks have run.

        Raises:
            TimeoutError: none of them ran for a minute.
        """
        seen, since = -1, time.monotonic()
        while True:
            done = int(self._redis.get(_COUNTER) or 0)  # type: ignore[arg-type]
            if done >= items:
                return
            if done != seen:
                seen, since = done, time.monotonic()
            elif time.monotonic() - since > _START_SECONDS:
                raise TimeoutError(f"{done} of {items} tasks ran: see {self._log.name}")
            time.sleep(0.01)
