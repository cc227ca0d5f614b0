"""Past one machine: hosts do a bulk job, and lose each other, restart and are upgraded meanwhile."""

from __future__ import annotations

import sys
import time
from collections.abc import Collection

import pytest
from sqlalchemy import text

from core.client_views import JobView
from core.ledger.schema_fit import revision_of
from core.submitting.submission import wait
from tests.faults.rounds import check
from tests.hosts.conftest import RECORDINGS
from tests.hosts.network import why_no_bad_cables
from tests.hosts.next_version import COLUMN, VALUE, write_next_version
from tests.hosts.place import OFFICES, PATIENCE_SECONDS, SERVERS, WORKERS, Place
from tests.hosts.work import (
    draw,
    drawn_by,
    holders,
    over_bad_cables,
    seconds_to_connect,
    until,
    until_drawn,
    until_the_store_gives,
)

pytestmark = [pytest.mark.hosts, pytest.mark.timeout(900)]

AWAY_SECONDS = 60.0
# Of a bad cable, each way: 0.1 s there and back.
LOST_SHARE = 0.05
LATE_SECONDS = 0.05


def test_four_workers_on_hosts_of_their_own_share_a_bulk_job(place: Place, sent: JobView) -> None:
    check(place, place.store, sent, RECORDINGS)
    with place.ledger() as database:
        assert set(drawn_by(database, sent.id)) == set(WORKERS)


def test_what_a_worker_held_that_is_away_for_a_minute_goes_to_others_and_it_works_again(
    place: Place, sent: JobView
) -> None:
    job = draw(place, sent, 1)
    with place.ledger() as database:
        until(lambda: "worker-1" in holders(database, job.id))
        with place.away("worker-1", AWAY_SECONDS):
            ended = wait(place.client(), job.id, patience_seconds=PATIENCE_SECONDS)
        check(place, place.store, ended, RECORDINGS)
    all_draw_again(place, sent, ["worker-1"], 100)


@pytest.mark.parametrize(("server", "seed"), [("valkey", 20), ("store", 30), ("postgres", 40)])
def test_nothing_is_lost_while_a_server_is_away_for_a_minute(
    place: Place, sent: JobView, server: str, seed: int
) -> None:
    job = draw(place, sent, seed)
    until_drawn(place, job, 0.2)
    with place.away(server, AWAY_SECONDS):
        # People come in all the same, where what they ask for can be kept.
        late = draw(place, sent, seed + 1) if server != "postgres" else None
    for one in [job, late] if late else [job]:
        ended = wait(place.client(), one.id, patience_seconds=PATIENCE_SECONDS)
        check(place, place.store, ended, RECORDINGS)
    all_draw_again(place, sent, WORKERS, 10 * seed)


def test_a_bulk_job_is_done_over_cables_that_lose_frames_and_are_slow(place: Place, sent: JobView) -> None:
    if (reason := why_no_bad_cables()) is not None:
        pytest.skip(reason)
    began = time.monotonic()
    with over_bad_cables(place, WORKERS, lost=LOST_SHARE, late_seconds=LATE_SECONDS) as cables:
        assert seconds_to_connect(place, WORKERS[0], "postgres") >= 2 * LATE_SECONDS
        job = draw(place, sent, 60)
        ended = wait(place.client(), job.id, patience_seconds=PATIENCE_SECONDS)
        seconds = time.monotonic() - began
    check(place, place.store, ended, RECORDINGS)
    with place.ledger() as database:
        assert set(drawn_by(database, job.id)) == set(WORKERS)
    taken, lost = sum(cable.taken for cable in cables), sum(cable.lost for cable in cables)
    assert LOST_SHARE / 2 < lost / taken < LOST_SHARE * 2
    sys.stdout.write(f"drawn in {seconds:.0f} s over bad cables, which lost {lost} of {taken} frames\n")


def test_everything_restarts_one_after_the_other_and_the_job_goes_on(place: Place, sent: JobView) -> None:
    job = draw(place, sent, 50)
    parts = [(part, office) for office in OFFICES for part in ("dashboard", "ticker")]
    parts += [("worker", worker) for worker in WORKERS] + [(server, server) for server in SERVERS]
    more = [job]
    for service, host in parts:
        if place.client(OFFICES[1]).job(more[-1].id).is_final:  # there is always work under way
            more.append(draw(place, sent, 50 + len(more), OFFICES[1] if host == OFFICES[0] else OFFICES[0]))
        place.restart(service, host)
    until_the_store_gives(place, sent)
    for one in more:
        ended = wait(place.client(), one.id, patience_seconds=PATIENCE_SECONDS)
        check(place, place.store, ended, RECORDINGS)
    until(lambda: place.workers_present() == len(WORKERS))


def test_one_process_after_the_other_is_upgraded_across_a_migration_and_old_and_new_work_together(
    place: Place, sent: JobView
) -> None:
    before = draw(place, sent, 70)
    tree = place.folder / "next version"
    revision = write_next_version(tree)
    with place.timeline.span("tables of the next version", OFFICES[0]):
        place.tree[OFFICES[0]] = tree
        place.prepare(OFFICES[0])
    # What an old process makes has nothing in the column that is there already.
    jobs: list[tuple[JobView, str | None]] = [(before, None), (draw(place, sent, 71, OFFICES[1]), None)]
    parts = [(part, office) for office in OFFICES for part in ("dashboard", "ticker")]
    for service, host in [*parts, *(("worker", worker) for worker in WORKERS)]:
        if service == "worker":  # old and new ones have a share in what a new dashboard makes
            jobs.append((draw(place, sent, 75 + len(jobs), OFFICES[1]), VALUE))
            until_drawn(place, jobs[-1][0], 0.05)
        place.tree[host] = tree
        place.restart(service, host)
        if (service, host) == ("ticker", OFFICES[0]):
            jobs += [(draw(place, sent, 72), VALUE), (draw(place, sent, 73, OFFICES[1]), None)]
    jobs.append((draw(place, sent, 74, OFFICES[1]), VALUE))
    with place.ledger() as database:
        for job, made_by in jobs:
            ended = wait(place.client(), job.id, patience_seconds=PATIENCE_SECONDS)
            check(place, place.store, ended, RECORDINGS)
            with database.read() as session:
                told = session.execute(text(f"SELECT {COLUMN} FROM jobs WHERE id = :id"), {"id": job.id})
                assert told.scalar() == made_by
        with database.read() as session:
            assert revision_of(session) == revision
    all_draw_again(place, sent, WORKERS, 700)


def all_draw_again(place: Place, sent: JobView, workers: Collection[str], seed: int) -> None:
    """Jobs until each of these has had a share in one of them."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    missing = set(workers)
    with place.ledger() as database:
        while missing:
            job = draw(place, sent, seed)
            ended = wait(place.client(), job.id, patience_seconds=PATIENCE_SECONDS)
            check(place, place.store, ended, RECORDINGS)
            missing -= set(drawn_by(database, job.id))
            seed += 1
            late = time.monotonic() > deadline
            assert not (missing and late), [place.log("worker", worker) for worker in missing]
