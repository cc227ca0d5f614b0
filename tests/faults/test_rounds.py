"""Whatever dies, hangs, forgets or lies while jobs run: every recording ends once, and every face is whole.

`VOICESKETCH_FAULT_ROUND=17 make test PYTEST_ARGUMENTS=tests/faults` plays one round again.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.config import BUNDLED_WEIGHTS
from core.store import Store
from tests.end_to_end.house import House
from tests.faults.faults import FAULTS, HEARTBEAT_SECONDS, LEASE_SECONDS
from tests.faults.rounds import check, plan, play, write_recordings
from tests.faults.second_worker import SecondWorker

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]

RECORDINGS = 200
SAMPLES = sorted((Path(__file__).resolve().parents[2] / "samples").glob("*.flac"))
_ONE = os.environ.get("VOICESKETCH_FAULT_ROUND")
ROUNDS = [int(_ONE)] if _ONE else range(1, 5)
SOAK = [0, *range(5, 200)]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[House, SecondWorker]]:
    if not (BUNDLED_WEIGHTS / "config.json").exists():
        pytest.skip(f"there is no model in {BUNDLED_WEIGHTS.name}/ yet")
    folder = tmp_path_factory.mktemp("faults")
    environ = {
        **os.environ,
        "VOICESKETCH_CHUNK_ITEMS": "16",
        "VOICESKETCH_DEVICE": "cpu",
        "VOICESKETCH_LEASE_SECONDS": str(LEASE_SECONDS),
        "VOICESKETCH_HEARTBEAT_SECONDS": str(HEARTBEAT_SECONDS),
        "VOICESKETCH_RING_AGAIN_SECONDS": "5",
    }
    with House.open(folder / "data", environ) as house, SecondWorker(house, folder / "second.log") as second:
        yield house, second


def a_round(place: tuple[House, SecondWorker], number: int, folder: Path) -> None:
    house, second = place
    coming = plan(number)
    sys.stdout.write(f"{coming}\n")  # shown beside a failure
    write_recordings(folder / "recordings", number, RECORDINGS, SAMPLES)
    job = play(house, second, folder / "recordings", coming)
    check(house, Store(second.settings), job, RECORDINGS)


@pytest.mark.parametrize("number", ROUNDS)
def test_nothing_is_lost_doubled_or_stuck_whatever_goes_wrong(
    place: tuple[House, SecondWorker], number: int, tmp_path: Path
) -> None:
    a_round(place, number, tmp_path)


@pytest.mark.soak
@pytest.mark.parametrize("number", SOAK)
def test_nothing_is_lost_in_two_hundred_rounds(
    place: tuple[House, SecondWorker], number: int, tmp_path: Path
) -> None:
    a_round(place, number, tmp_path)


def test_twenty_rounds_leave_out_no_fault() -> None:
    assert {fault for number in range(20) for _, fault in plan(number).faults} == set(FAULTS)


def test_a_round_is_the_same_whenever_it_is_planned(tmp_path: Path) -> None:
    assert plan(7) == plan(7)
    assert plan(7) != plan(8)
    for again in ("once", "twice"):
        write_recordings(tmp_path / again, 7, 5, SAMPLES)
    files = [sorted((tmp_path / again).iterdir()) for again in ("once", "twice")]
    assert [path.read_bytes() for path in files[0]] == [path.read_bytes() for path in files[1]]
