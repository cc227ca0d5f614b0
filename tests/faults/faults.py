"""What may go wrong while a job runs, each as a function of the house, its second worker, and chance."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psutil
import redis
from sqlalchemy import select

from core.client_views import JobView
from core.ledger.tables import Attempt, Worker
from core.states import AttemptState
from tests.end_to_end.house import House
from tests.faults.second_worker import SecondWorker

LEASE_SECONDS = 4.0

Fault = Callable[[House, SecondWorker, JobView, random.Random], None]


def the_process_that_draws_is_killed(
    house: House, second: SecondWorker, job: JobView, chance: random.Random
) -> None:
    """The child of whichever worker is at it; nobody is, where the last face has just been drawn."""
    with house.ledger() as database, database.read() as session:
        holders = session.scalars(
            select(Worker.pid)
            .join(Attempt, Attempt.worker_id == Worker.id)
            .where(Attempt.job_id == job.id, Attempt.state == AttemptState.ACTIVE)
        ).all()
    for pid in {chance.choice(holders)} if holders else ():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def the_worker_is_killed(house: House, second: SecondWorker, job: JobView, chance: random.Random) -> None:
    house.kill_program("worker")


def the_second_worker_is_killed(
    house: House, second: SecondWorker, job: JobView, chance: random.Random
) -> None:
    second.kill()
    second.start()


def the_dashboard_is_killed(house: House, second: SecondWorker, job: JobView, chance: random.Random) -> None:
    house.kill_program("dashboard")


def the_ticker_is_killed(house: House, second: SecondWorker, job: JobView, chance: random.Random) -> None:
    house.kill_program("ticker")


def the_broker_is_killed(house: House, second: SecondWorker, job: JobView, chance: random.Random) -> None:
    house.kill_program("valkey")


def the_store_is_killed(house: House, second: SecondWorker, job: JobView, chance: random.Random) -> None:
    house.kill_program("seaweedfs")


def a_worker_sleeps_past_its_lease(
    house: House, second: SecondWorker, job: JobView, chance: random.Random
) -> None:
    """And wakes as a zombie, with faces in its hands that others have drawn meanwhile."""
    second.freeze()
    time.sleep(LEASE_SECONDS + chance.uniform(0.2, 1.0))
    second.thaw()


def the_broker_forgets_everything(
    house: House, second: SecondWorker, job: JobView, chance: random.Random
) -> None:
    with redis.Redis.from_url(second.broker_url, socket_timeout=10) as broker:
        for key in broker.scan_iter(count=1000):
            broker.unlink(key)


def the_broker_hangs(house: House, second: SecondWorker, job: JobView, chance: random.Random) -> None:
    with frozen(house, "valkey"):
        time.sleep(chance.uniform(0.5, 2.0))


def the_store_hangs(house: House, second: SecondWorker, job: JobView, chance: random.Random) -> None:
    with frozen(house, "seaweedfs"):
        time.sleep(chance.uniform(0.5, 2.0))


def the_road_to_the_broker_is_half_open(
    house: House, second: SecondWorker, job: JobView, chance: random.Random
) -> None:
    with second.broker.feeling("hang"):
        time.sleep(chance.uniform(0.5, 2.0))


def the_store_answers_500(house: House, second: SecondWorker, job: JobView, chance: random.Random) -> None:
    with second.store.feeling("refuse"):
        time.sleep(chance.uniform(0.5, 2.0))


def the_store_is_slow(house: House, second: SecondWorker, job: JobView, chance: random.Random) -> None:
    with second.store.feeling("slow"):
        time.sleep(chance.uniform(0.5, 2.0))


def the_store_cuts_its_answers_short(
    house: House, second: SecondWorker, job: JobView, chance: random.Random
) -> None:
    with second.store.feeling("cut"):
        time.sleep(chance.uniform(0.5, 2.0))


def the_power_goes(house: House, second: SecondWorker, job: JobView, chance: random.Random) -> None:
    second.kill()
    house.kill_everything()
    house.start()
    second.start()


def a_decoder_is_killed(house: House, second: SecondWorker, job: JobView, chance: random.Random) -> None:
    """One of the processes that a worker has files decoded by, in the middle of a file or between two."""
    supervised = psutil.Process(house.running.record().children["worker"].pid)
    with contextlib.suppress(psutil.NoSuchProcess):
        family = [*supervised.children(recursive=True), *second.family()]
        if decoders := [process for process in family if "worker.decoding" in _command(process)]:
            chance.choice(decoders).kill()


def the_second_worker_runs_out_of_memory(
    house: House, second: SecondWorker, job: JobView, chance: random.Random
) -> None:
    """Its processes get no more of it than they have."""
    with second.limited(psutil.RLIMIT_AS, lambda process: process.memory_info().vms):
        time.sleep(chance.uniform(0.5, 2.0))


def the_disk_of_the_second_worker_is_full(
    house: House, second: SecondWorker, job: JobView, chance: random.Random
) -> None:
    """It cannot write a byte more, to the ledger or anywhere."""
    with second.limited(psutil.RLIMIT_FSIZE, lambda _process: 0):
        time.sleep(chance.uniform(0.5, 2.0))


FAULTS: tuple[Fault, ...] = (
    the_process_that_draws_is_killed,
    the_worker_is_killed,
    the_second_worker_is_killed,
    the_dashboard_is_killed,
    the_ticker_is_killed,
    the_broker_is_killed,
    the_store_is_killed,
    a_worker_sleeps_past_its_lease,
    the_broker_forgets_everything,
    the_broker_hangs,
    the_store_hangs,
    the_road_to_the_broker_is_half_open,
    the_store_answers_500,
    the_store_is_slow,
    the_store_cuts_its_answers_short,
    a_decoder_is_killed,
    the_second_worker_runs_out_of_memory,
    the_disk_of_the_second_worker_is_full,
    the_power_goes,
)


@contextmanager
def frozen(house: House, name: str) -> Iterator[None]:
    """A program of the stack stands still for a block; what it listens on takes connections all the same."""
    parent = psutil.Process(house.running.record().children[name].pid)
    family = [parent, *parent.children(recursive=True)]
    for process in family:
        os.kill(process.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for process in family:
            if process.is_running():
                os.kill(process.pid, signal.SIGCONT)


def _command(process: psutil.Process) -> list[str]:
    with contextlib.suppress(psutil.Error):
        return list(process.cmdline())
    return []
