"""The ledger's own server dies: rounds of faults in a house whose ledger lies in PostgreSQL."""

from __future__ import annotations

import random
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.client_views import JobView
from core.submitting.submission import submit, wait
from tests.end_to_end.house import House
from tests.faults.faults import FAULTS, Fault
from tests.faults.place import RECORDINGS, Place, open_place
from tests.faults.rounds import PATIENCE_SECONDS, Plan, check, play
from tests.faults.second_worker import SecondWorker
from tests.servers import Postgres

FAKETIME = sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]

ROUNDS = range(2)
FAKE_SEEDS = {"-1h": 0, "+1h": 1_000}
SOAK = range(2, 20)


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    """One of its own, which nobody else's tests need when it dies; what it commits outlives it."""
    with tempfile.TemporaryDirectory(prefix="voicesketch-killed-") as folder:
        server = Postgres(Path(folder), safe=True)
        yield server
        server.stop()


@pytest.fixture(scope="module")
def place(server: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with (
        server.database() as url,
        open_place(
            tmp_path_factory.mktemp("postgres"),
            {"LEDGER_ELSEWHERE": url},
        ) as place,
    ):
        yield place


def a_round(place: Place, server: Postgres, number: int) -> None:
    def the_ledger_is_killed(house: House, second: SecondWorker, job: JobView, chance: random.Random) -> None:
        server.kill()
        time.sleep(chance.uniform(0.0, 2.0))
        server.start()

    chance = random.Random(number)
    faults: list[Fault] = [the_ledger_is_killed]
    if number:
        faults.append(chance.choice(FAULTS))
    chance.shuffle(faults)
    shares = sorted(chance.uniform(0.05, 0.85) for _ in faults)
    coming = Plan(number, list(zip(shares, faults, strict=True)))
    sys.stdout.write(f"{coming}\n")
    job = play(place.house, place.second, place.sent, coming)
    check(place.house, place.store, job, RECORDINGS)


@pytest.mark.parametrize("number", ROUNDS)
def test_nothing_is_lost_when_the_ledgers_server_dies(place: Place, server: Postgres, number: int) -> None:
    a_round(place, server, number)


@pytest.mark.soak
@pytest.mark.parametrize("number", SOAK)
def test_nothing_is_lost_whatever_else_goes_wrong_beside_it(
    place: Place, server: Postgres, number: int
) -> None:
    a_round(place, server, number)


@pytest.mark.soak
@pytest.mark.skipif(
    not FAKETIME, reason="libfaketime is not installed (Debian, Ubuntu: apt install faketime)"
)
@pytest.mark.parametrize("off", ["-1h", "+1h"])
def test_a_worker_whose_clock_is_an_hour_off_costs_nothing_and_says_why_it_draws_nothing(
    place: Place, off: str
) -> None:
    """The ledger's server has a clock of its own, as on several machines; a file of SQLite has each reader's."""
    seen = len(place.second.told())
    place.second.kill()
    place.second.start(
        {
            "LD_PRELOAD": str(FAKETIME[0]),
            "FAKETIME": off,
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "NO_FAKE_STAT": "1",
        }
    )
    try:
        deadline = time.monotonic() + PATIENCE_SECONDS
        seed = 70_000 + FAKE_SEEDS[off]
        while "clock" not in place.second.told()[seen:]:
            assert time.monotonic() < deadline, "it never came to work"
            seed += 1
            job, _ = submit(place.house.client, [], earlier=place.sent.id, seed=seed)
            job = wait(place.house.client, job.id, patience_seconds=PATIENCE_SECONDS)
            check(place.house, place.store, job, RECORDINGS)
    finally:
        place.second.kill()
        place.second.start()
