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
from tests.end_to_end.house import House
from tests.faults.faults import FAULTS, Fault
from tests.faults.place import RECORDINGS, Place, open_place
from tests.faults.rounds import Plan, check, play
from tests.faults.second_worker import SecondWorker
from tests.servers import Postgres

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]

ROUNDS = range(2)
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
