"""Claims: one owner at a time, given back when the owner is gone, and no word from beyond."""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest
from sqlalchemy import func, select, update

from core.claims.chunks import InferChunk
from core.claims.leases import attempts_to_stop, heartbeat, reap, release
from core.claims.results import AlreadyDrawn
from core.errors import LeaseLost
from core.jobs import cancel_job
from core.ledger.database import Database
from core.ledger.tables import Attempt, Drawing, Transition, Worker
from core.states import AttemptState, ItemState, JobState
from tests.factories import Ledger, could_not, drawn


def test_a_claim_takes_the_first_items_and_sets_the_job_running(ledger: Ledger) -> None:
    job = ledger.job(5)
    chunk = ledger.claim(ledger.worker(), size=3)
    assert [item.name for item in chunk.items] == ["voice 0.wav", "voice 1.wav", "voice 2.wav"]
    assert ledger.get(job).state is JobState.RUNNING
    assert ledger.counters(job) == ledger.counted(job)
    assert ledger.counters(job)["leased"] == 3


def test_a_second_worker_cannot_claim_what_is_claimed(ledger: Ledger) -> None:
    ledger.job(2)
    ledger.claim(ledger.worker())
    assert ledger.try_claim(ledger.worker()) is None


def test_publishing_everything_completes_the_job(ledger: Ledger) -> None:
    job = ledger.job(3)
    ledger.publish(ledger.claim(ledger.worker()))
    assert ledger.get(job).state is JobState.COMPLETED
    assert ledger.counters(job) == ledger.counted(job)
    with ledger.database.read() as session:
        assert session.scalars(select(Attempt.state)).all() == [AttemptState.FINISHED]


def test_a_job_with_an_item_that_failed_completes_with_errors(ledger: Ledger) -> None:
    job = ledger.job(2)
    chunk = ledger.claim(ledger.worker())
    ledger.publish(chunk, [drawn(chunk, 0), could_not(chunk, 1)])
    assert ledger.get(job).state is JobState.COMPLETED_WITH_ERRORS
    assert [item.error_code for item in ledger.items(job)] == [None, "no_speech"]


def test_a_worker_whose_lease_was_reaped_can_publish_nothing(ledger: Ledger) -> None:
    job = ledger.job(2)
    zombie = ledger.claim(ledger.worker(), lease_seconds=-1)
    assert reap(ledger.database, max_attempts=5) == 1
    successor = ledger.claim(ledger.worker())
    ledger.publish(successor)
    with pytest.raises(LeaseLost):
        ledger.publish(zombie)
    with ledger.database.read() as session:
        assert session.scalar(select(func.count()).select_from(Drawing)) == 2
        assert set(session.scalars(select(Drawing.attempt_id))) == {successor.attempt_id}
    assert ledger.counters(job) == ledger.counted(job)


def test_a_zombie_cannot_publish_even_before_its_successor_does(ledger: Ledger) -> None:
    ledger.job(1)
    zombie = ledger.claim(ledger.worker(), lease_seconds=-1)
    reap(ledger.database, max_attempts=5)
    ledger.claim(ledger.worker())
    with pytest.raises(LeaseLost):
        ledger.publish(zombie)


def test_an_outcome_published_twice_is_refused_whole(ledger: Ledger) -> None:
    job = ledger.job(3)
    chunk = ledger.claim(ledger.worker())
    ledger.publish(chunk, [drawn(chunk, 0)])
    with pytest.raises(LeaseLost):
        ledger.publish(chunk, [could_not(chunk, 0), drawn(chunk, 1)])
    assert [item.state for item in ledger.items(job)] == [ItemState.DONE, ItemState.LEASED, ItemState.LEASED]


def test_a_lease_that_was_renewed_is_not_reaped(ledger: Ledger) -> None:
    ledger.job(1)
    worker = ledger.worker()
    chunk = ledger.claim(worker, lease_seconds=-1)
    with ledger.database.write() as session:
        heartbeat(session, worker, [chunk.attempt_id], lease_seconds=60, doing="drawing")
    assert reap(ledger.database, max_attempts=5) == 0
    ledger.publish(chunk)


def test_the_work_of_a_process_that_is_gone_is_given_back_at_once(ledger: Ledger) -> None:
    job = ledger.job(2)
    worker = ledger.worker()
    ledger.claim(worker, lease_seconds=3600)
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    with ledger.database.write() as session:
        session.execute(update(Worker).where(Worker.id == worker).values(pid=ended.pid))
    assert reap(ledger.database, max_attempts=5) == 1
    assert ledger.counters(job)["pending"] == 2
    assert {item.lost for item in ledger.items(job)} == {1}


def test_a_worker_elsewhere_is_judged_by_its_lease_alone(ledger: Ledger) -> None:
    ledger.job(1)
    worker = ledger.worker()
    ledger.claim(worker, lease_seconds=3600)
    with ledger.database.write() as session:
        session.execute(update(Worker).where(Worker.id == worker).values(host="elsewhere", pid=1))
    assert reap(ledger.database, max_attempts=5) == 0


def test_a_worker_that_leaves_gives_back_what_it_did_not_finish_without_blame(ledger: Ledger) -> None:
    job = ledger.job(3)
    chunk = ledger.claim(ledger.worker())
    ledger.publish(chunk, [drawn(chunk, 0)])
    with ledger.database.write() as session:
        assert release(session, chunk.attempt_id, reason="it leaves") == 2
    items = ledger.items(job)
    assert [item.state for item in items] == [ItemState.DONE, ItemState.PENDING, ItemState.PENDING]
    assert {item.lost for item in items} == {0}


def test_a_poison_item_is_given_up_and_its_mates_are_finished(ledger: Ledger) -> None:
    job = ledger.job(20)
    poison = ledger.items(job)[7].id
    worker = ledger.worker()
    sizes = []
    while (chunk := ledger.try_claim(worker, lease_seconds=-1)) is not None:
        if any(item.id == poison for item in chunk.items):
            sizes.append(len(chunk.items))
            reap(ledger.database, max_attempts=5)  # it died with this chunk
        else:
            ledger.publish(chunk)
    assert sizes[0] == 20
    assert sizes[-3:] == [1, 1, 1]
    assert ledger.get(job).state is JobState.COMPLETED_WITH_ERRORS
    assert ledger.counters(job)["done"] == 19
    failed = [item for item in ledger.items(job) if item.state is ItemState.FAILED]
    assert [(item.id, item.error_code) for item in failed] == [(poison, "worker_lost")]


def test_what_lies_beside_a_poison_item_in_another_chunk_of_its_worker_is_finished_too(
    ledger: Ledger,
) -> None:
    """Workers claim ahead: whoever dies, dies with two chunks in its hands."""
    job = ledger.job(40)
    poison = ledger.items(job)[7].id
    worker = ledger.worker()
    deaths = 0
    while True:
        held: list[InferChunk] = []
        while len(held) < 2 and (chunk := ledger.try_claim(worker, size=16, lease_seconds=-1)) is not None:
            held.append(chunk)
        if not held:
            break
        if any(item.id == poison for chunk in held for item in chunk.items):
            deaths += 1
            reap(ledger.database, max_attempts=5)
        else:
            for chunk in held:
                ledger.publish(chunk)
    failed = [item.id for item in ledger.items(job) if item.state is ItemState.FAILED]
    assert (failed, deaths) == ([poison], 5)
    assert ledger.counters(job)["done"] == 39


def test_a_higher_priority_goes_first(ledger: Ledger) -> None:
    ledger.job(1)
    urgent = ledger.job(1, prefix="urgent", priority=5)
    assert ledger.claim(ledger.worker()).job_id == urgent


def test_owners_take_turns_so_that_ten_recordings_never_wait_behind_a_hundred(ledger: Ledger) -> None:
    many = ledger.job(100, owner="ada")
    few = ledger.job(10, owner="grace", prefix="grace")
    worker = ledger.worker()
    order = [ledger.claim(worker, size=5).job_id for _ in range(6)]
    assert order[:4] == [many, few, many, few]
    assert ledger.counters(few)["pending"] == 0


def test_a_recording_drawn_before_comes_with_its_drawing(ledger: Ledger) -> None:
    ledger.job(2)
    worker = ledger.worker()
    ledger.publish(ledger.claim(worker))
    again = ledger.job(2)
    chunk = ledger.claim(worker)
    assert all(item.drawing_id is not None for item in chunk.items)
    ledger.publish(chunk, [AlreadyDrawn(item.id, item.drawing_id or "") for item in chunk.items])
    assert ledger.counters(again)["cached"] == 2
    assert ledger.get(again).state is JobState.COMPLETED


def test_the_same_recording_drawn_by_two_at_once_is_published_once(ledger: Ledger) -> None:
    first, second = ledger.job(1, owner="ada"), ledger.job(1, owner="grace")
    one, two = ledger.claim(ledger.worker()), ledger.claim(ledger.worker())
    assert ledger.publish(one) == []
    unneeded = ledger.publish(two)
    assert len(unneeded) == 2  # its face and its spectrogram can be deleted
    assert ledger.counters(first)["done"] == 1
    assert ledger.counters(second)["cached"] == 1
    assert ledger.items(first)[0].drawing_id == ledger.items(second)[0].drawing_id


def test_cancelling_stops_the_attempt_and_ends_when_it_lets_go(ledger: Ledger) -> None:
    job = ledger.job(4)
    chunk = ledger.claim(ledger.worker(), size=2)
    with ledger.database.write() as session:
        assert cancel_job(session, job, actor="ada").state is JobState.CANCELLING
    with ledger.database.read() as session:
        assert attempts_to_stop(session, [chunk.attempt_id]) == {chunk.attempt_id}
    ledger.publish(chunk, [drawn(chunk, 0)])  # what was on the device comes to its end
    with ledger.database.write() as session:
        release(session, chunk.attempt_id, reason="cancelled")
    assert ledger.get(job).state is JobState.CANCELLED
    assert ledger.counters(job) | {"done": 1, "cancelled": 3} == ledger.counters(job) == ledger.counted(job)


def test_a_cancelled_job_ends_although_its_worker_died(ledger: Ledger) -> None:
    job = ledger.job(2)
    ledger.claim(ledger.worker(), lease_seconds=-1)
    with ledger.database.write() as session:
        cancel_job(session, job, actor="ada")
    reap(ledger.database, max_attempts=5)
    assert ledger.get(job).state is JobState.CANCELLED


def test_every_move_of_an_item_is_recorded(ledger: Ledger) -> None:
    job = ledger.job(1)
    ledger.claim(ledger.worker(), lease_seconds=-1)
    reap(ledger.database, max_attempts=5)
    ledger.publish(ledger.claim(ledger.worker()))
    with ledger.database.read() as session:
        moves = session.execute(
            select(Transition.old, Transition.new)
            .where(Transition.job_id == job, Transition.item_id.is_not(None))
            .order_by(Transition.id)
        ).all()
    assert [tuple(move) for move in moves] == [
        ("pending", "leased"),
        ("leased", "pending"),
        ("pending", "leased"),
        ("leased", "done"),
    ]


def test_workers_that_claim_at_the_same_time_share_the_items_without_overlap(
    ledger: Ledger, database_url: str
) -> None:
    job = ledger.job(120)
    claimed: list[int] = []
    problems: list[BaseException] = []

    def work() -> None:
        own = Ledger(Database(database_url))
        try:
            worker = own.worker()
            while (chunk := own.try_claim(worker, size=7)) is not None:
                claimed.extend(item.id for item in chunk.items)
                own.publish(chunk)
        except BaseException as problem:  # noqa: BLE001 - whatever it is, the test must see it
            problems.append(problem)
        finally:
            own.database.dispose()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    assert len(claimed) == len(set(claimed)) == 120
    assert ledger.get(job).state is JobState.COMPLETED
    assert ledger.counters(job) == ledger.counted(job)
