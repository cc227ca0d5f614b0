"""The kernel kills who takes more memory than a container may: the work goes to others, and no recording is blamed."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator

import pytest

from core.submitting.submission import submit, wait
from tests.faults.memory_limit import memory_limit
from tests.faults.place import RECORDINGS, Place, open_place
from tests.faults.rounds import PATIENCE_SECONDS, check, wait_until

pytestmark = [pytest.mark.stack, pytest.mark.soak, pytest.mark.timeout(600)]

MORE_BYTES = 4 * 2**20


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with open_place(tmp_path_factory.mktemp("memory")) as place:
        yield place


@pytest.mark.parametrize("number", range(3))
def test_who_is_killed_for_want_of_memory_loses_nothing(place: Place, number: int) -> None:
    with memory_limit() as limit:
        job, _ = submit(place.house.client, [], earlier=place.sent.id, seed=60_000 + number)
        wait_until(place.house, job.id, 0.05)
        limit.hold(place.second.family(), MORE_BYTES)
        deadline = time.monotonic() + PATIENCE_SECONDS
        others = 0
        while not limit.killed:
            assert time.monotonic() < deadline, "it needed no more memory"
            others += 1
            more, _ = submit(
                place.house.client, [], earlier=place.sent.id, seed=61_000 + 100 * number + others
            )
            wait(place.house.client, more.id, patience_seconds=PATIENCE_SECONDS)
            check(place.house, place.store, more, RECORDINGS)
        ended = wait(place.house.client, job.id, patience_seconds=PATIENCE_SECONDS)
        sys.stdout.write(f"the kernel killed {limit.killed}, in job {others}\n")
    check(place.house, place.store, ended, RECORDINGS)
    place.second.kill()
    place.second.start()
