"""Whatever dies, hangs, forgets or lies while jobs run: every recording ends once, and every face is whole.

`VOICESKETCH_FAULT_ROUND=17 make test PYTEST_ARGUMENTS=tests/faults` plays one round again.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from core.client_views import JobView
from core.store import Store
from core.submission import wait
from tests.end_to_end.house import House
from tests.faults.faults import FAULTS, LEASE_SECONDS
from tests.faults.rounds import PATIENCE_SECONDS, check, plan, play, write_recordings
from tests.faults.second_worker import SecondWorker
from tests.faults.small_model import write_small_model

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]

RECORDINGS = 200
SAMPLES = sorted((Path(__file__).resolve().parents[2] / "samples").glob("*.flac"))
# Everything that waits waits less than it would in earnest, and nothing else differs.
SURROUNDINGS = {
    "VOICESKETCH_CHUNK_ITEMS": "16",
    "VOICESKETCH_DEVICE": "cpu",
    "VOICESKETCH_LEASE_SECONDS": str(LEASE_SECONDS),
    "VOICESKETCH_HEARTBEAT_SECONDS": "1",
    "VOICESKETCH_RING_AGAIN_SECONDS": "2",
    "VOICESKETCH_TICK_SECONDS": "0.3",
    "OMP_NUM_THREADS": "1",  # two workers on two cores
}
_ONE = os.environ.get("VOICESKETCH_FAULT_ROUND")
ROUNDS = [int(_ONE)] if _ONE else range(20)
SOAK = range(20, 200)


@dataclass(frozen=True)
class Place:
    """A house, the worker beside it, and a job that brought the recordings of all rounds."""

    house: House
    second: SecondWorker
    sent: JobView


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("faults")
    write_small_model(folder / "model")
    write_recordings(folder / "recordings", RECORDINGS, SAMPLES)
    environ = {**os.environ, **SURROUNDINGS, "VOICESKETCH_MODEL_FOLDER": str(folder / "model")}
    with House.open(folder / "data", environ) as house, SecondWorker(house, folder / "second.log") as second:
        sent = house.submit([folder / "recordings"])
        yield Place(house, second, wait(house.client, sent.id, patience_seconds=PATIENCE_SECONDS))


def a_round(place: Place, number: int) -> None:
    coming = plan(number)
    sys.stdout.write(f"{coming}\n")  # shown beside a failure
    job = play(place.house, place.second, place.sent, coming)
    check(place.house, Store(place.second.settings), job, RECORDINGS)


@pytest.mark.parametrize("number", ROUNDS)
def test_nothing_is_lost_doubled_or_stuck_whatever_goes_wrong(place: Place, number: int) -> None:
    a_round(place, number)


@pytest.mark.soak
@pytest.mark.parametrize("number", SOAK)
def test_nothing_is_lost_in_two_hundred_rounds(place: Place, number: int) -> None:
    a_round(place, number)


def test_twenty_rounds_leave_out_no_fault() -> None:
    assert {fault for number in range(20) for _, fault in plan(number).faults} == set(FAULTS)


def test_a_round_is_the_same_whenever_it_is_planned(tmp_path: Path) -> None:
    assert plan(7) == plan(7)
    assert plan(7) != plan(8)
    for again in ("once", "twice"):
        write_recordings(tmp_path / again, 5, SAMPLES)
    files = [sorted((tmp_path / again).iterdir()) for again in ("once", "twice")]
    assert [path.read_bytes() for path in files[0]] == [path.read_bytes() for path in files[1]]
