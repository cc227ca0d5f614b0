"""Whatever dies, hangs, forgets or lies while jobs run: every recording ends once, and every face is whole.

`VOICESKETCH_FAULT_ROUND=17 make test PYTEST_ARGUMENTS=tests/faults` plays one round again.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from sqlalchemy import select
from urllib3.util.retry import Retry

from core.client import Client
from core.errors import ServiceUnreachable
from core.ledger.tables import Item
from core.states import ItemState
from core.submitting.submission import submit, wait
from tests.faults.faults import FAULTS, LEASE_SECONDS
from tests.faults.place import RECORDINGS, SAMPLES, SURROUNDINGS, Place, open_place
from tests.faults.proxy import Proxy
from tests.faults.recovery import RECOVERIES, SHIPPED_LEASE_SECONDS
from tests.faults.rounds import PATIENCE_SECONDS, check, plan, play, write_recordings

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]

_ONE = os.environ.get("VOICESKETCH_FAULT_ROUND")
ROUNDS = [int(_ONE)] if _ONE else range(20)
SOAK = range(20, 200)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with open_place(tmp_path_factory.mktemp("faults")) as place:
        yield place


@pytest.fixture(scope="module")
def place_as_shipped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    waits = {name: "" for name in SURROUNDINGS if name.endswith(("_ITEMS", "_SECONDS"))}
    with open_place(tmp_path_factory.mktemp("shipped"), waits) as place:
        yield place


def a_round(place: Place, number: int) -> None:
    coming = plan(number)
    sys.stdout.write(f"{coming}\n")  # shown beside a failure
    job = play(place.house, place.second, place.sent, coming)
    check(place.house, place.store, job, RECORDINGS)


@pytest.mark.parametrize("number", ROUNDS)
def test_nothing_is_lost_doubled_or_stuck_whatever_goes_wrong(place: Place, number: int) -> None:
    a_round(place, number)


@pytest.mark.soak
@pytest.mark.parametrize("number", SOAK)
def test_nothing_is_lost_in_two_hundred_rounds(place: Place, number: int) -> None:
    a_round(place, number)


@pytest.mark.parametrize("recovery", RECOVERIES)
def test_work_goes_on_soon_after(recovery: Callable[[Place, float], None], place: Place) -> None:
    recovery(place, LEASE_SECONDS)


@pytest.mark.soak
@pytest.mark.parametrize("recovery", RECOVERIES)
def test_with_settings_as_shipped_work_goes_on_soon_after(
    recovery: Callable[[Place, float], None], place_as_shipped: Place
) -> None:
    assert place_as_shipped.second.settings.lease_seconds == SHIPPED_LEASE_SECONDS
    recovery(place_as_shipped, SHIPPED_LEASE_SECONDS)


def test_who_is_killed_by_a_recording_again_and_again_is_rid_of_it_and_its_neighbours_are_drawn(
    place: Place,
) -> None:
    with place.house.ledger() as database, database.read() as session:
        poison, sha256 = session.execute(
            select(Item.key, Item.recording_sha256)
            .where(Item.job_id == place.sent.id, Item.state == ItemState.DONE)
            .order_by(Item.position)
            .offset(RECORDINGS // 2)
        ).first() or ("", "")
    place.poisonous.write_text(str(sha256))
    try:
        job, _ = submit(place.house.client, [], earlier=place.sent.id, seed=10_000)
        job = wait(place.house.client, job.id, patience_seconds=PATIENCE_SECONDS)
    finally:
        place.poisonous.write_text("")
    check(place.house, place.store, job, RECORDINGS, {"worker_lost": 1})
    with place.house.ledger() as database, database.read() as session:
        lost = session.execute(
            select(Item.key, Item.lost).where(Item.job_id == job.id, Item.error_code == "worker_lost")
        ).all()
    assert [tuple(row) for row in lost] == [(poison, 5)]


def test_a_client_whose_connection_is_cut_anywhere_asks_again_and_makes_one_job(place: Place) -> None:
    stack = place.house.running
    road = Proxy(("127.0.0.1", urlsplit(stack.url).port or 0))
    client = Client(f"http://127.0.0.1:{road.port}", stack.token, retries=Retry(total=0))

    def ask() -> str:
        source = {"job": place.sent.id, "which": "faces"}
        return client.create_job(
            idempotency_key="off-and-on", name="off and on", seed=10_001, source=source
        ).id

    made = set()
    with road.feeling("cut"):
        for road.cut_after in range(0, 3_000, 150):
            with contextlib.suppress(ServiceUnreachable):
                made.add(ask())
    made.add(ask())
    road.close()
    assert len(made) == 1
    assert [job.id for job in place.house.client.jobs(search="off and on")] == [*made]
    wait(place.house.client, *made, patience_seconds=PATIENCE_SECONDS)


def test_twenty_rounds_leave_out_no_fault() -> None:
    assert {fault for number in range(20) for _, fault in plan(number).faults} == set(FAULTS)


def test_a_round_is_the_same_whenever_it_is_planned(tmp_path: Path) -> None:
    assert plan(7) == plan(7)
    assert plan(7) != plan(8)
    for again in ("once", "twice"):
        write_recordings(tmp_path / again, 5, SAMPLES)
    files = [sorted((tmp_path / again).iterdir()) for again in ("once", "twice")]
    assert [path.read_bytes() for path in files[0]] == [path.read_bytes() for path in files[1]]
