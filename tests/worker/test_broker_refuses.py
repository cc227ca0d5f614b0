"""A broker that answers and takes nothing, as one with a full disk does: the worker stays, and works again after it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import redis
from pydantic import SecretStr

from core.config import Settings, to_environment
from core.queue import make_celery
from tests.servers import PASSWORD, Broker, start_valkey
from tests.worker.test_pulse import until

# For want of a replica Valkey refuses whatever writes, just as when its own file cannot be written.
_REFUSES, _TAKES = 1, 0
_OPERATOR = f"user operator on >{PASSWORD} ~* &* +@all\n"


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    broker = start_valkey(tmp_path / "valkey", _OPERATOR)
    yield broker
    broker.child.kill()


def have(broker: Broker, replicas: int) -> None:
    with redis.Redis(port=broker.port, username="operator", password=PASSWORD) as client:
        client.config_set("min-replicas-to-write", replicas)


def test_a_worker_outlives_a_broker_that_refuses_to_write_and_listens_to_it_afterwards(
    broker: Broker, tmp_path: Path
) -> None:
    settings = Settings(
        database_url=f"sqlite+pysqlite:///{tmp_path / 'ledger.db'}",
        broker_url=SecretStr(broker.url),
        cache_folder=tmp_path / "cache",
    )
    log = tmp_path / "worker.log"
    celery = make_celery(settings)

    def answers() -> bool:
        return bool(celery.control.broadcast("ping", reply=True, timeout=2, limit=1))

    with log.open("wb") as told:
        worker = subprocess.Popen(
            [sys.executable, "-m", "celery", "-A", "worker.app", "worker", "--without-mingle"],
            env={**os.environ, **to_environment(settings)},
            stdout=told,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        assert until(answers, 60), log.read_text()
        have(broker, _REFUSES)
        assert until(lambda: "the broker takes nothing" in log.read_text(), 60), log.read_text()
        have(broker, _TAKES)
        assert until(answers, 60), log.read_text()
        assert worker.poll() is None
    finally:
        for process in psutil.Process(worker.pid).children(recursive=True):
            process.kill()
        worker.kill()
        worker.wait()
        celery.close()
