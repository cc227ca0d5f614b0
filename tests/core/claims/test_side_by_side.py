"""Claims and publications of several workers on PostgreSQL, which lets them write at the same time."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import event, func, select, text, update

from core.claims.chunks import InferChunk
from core.claims.leases import claim_chunk, release
from core.claims.moves import hold_job
from core.claims.outbox import ring_again
from core.jobs import create_job
from core.ledger.database import Database, now
from core.ledger.tables import Drawing, Item, Job, User
from core.specs import InferSpec, NewItem
from core.states import JobState
from tests.factories import Ledger
from tests.ledgers import make_ledger
from tests.servers import Postgres

ENOUGH_SECONDS = 60.0


@pytest.fixture
def ledger(postgres: Postgres) -> Iterator[Ledger]:
    with postgres.database(made=False) as url:
        make_ledger(url)
        database = Database(url)
        yield Ledger(database)
        database.dispose()


@contextmanager
def _impatient(ledger: Ledger) -> Iterator[None]:
    """Whoever waits for a lock in here fails at once."""

    def set_timeout(connection: Any) -> None:
        connection.exec_driver_sql("SET LOCAL lock_timeout = 500")

    event.listen(ledger.database.engine, "begin", set_timeout)
    yield
    event.remove(ledger.database.engine, "begin", set_timeout)


def test_a_claim_passes_by_a_job_that_somebody_else_holds(ledger: Ledger) -> None:
    first, second = ledger.job(owner="ada"), ledger.job(owner="bob", prefix="b")
    workers = [ledger.worker(), ledger.worker()]
    with ledger.database.write() as other:
        hold_job(other, first)
        with _impatient(ledger):
            assert ledger.claim(workers[0], size=1).job_id == second
    assert ledger.claim(workers[1], size=1).job_id == first, "its owner has waited longer"


def test_jobs_of_one_owner_do_not_wait_for_each_other(ledger: Ledger) -> None:
    jobs = [ledger.job(prefix=prefix) for prefix in "ab"]
    workers = [ledger.worker(), ledger.worker()]
    with ledger.database.write() as session:
        taken = claim_chunk(session, workers[0], "gpu", size=2, lease_seconds=60)
        assert taken is not None
        with _impatient(ledger):
            other = ledger.claim(workers[1], size=2)
    assert {taken.job_id, other.job_id} == set(jobs)
    with ledger.database.read() as session:
        assert session.scalar(select(User.served_at)) is not None


def test_a_job_of_a_higher_priority_is_waited_for(ledger: Ledger) -> None:
    ledger.job(owner="ada")
    urgent = ledger.job(owner="bob", prefix="b", priority=5)
    worker, claimed = ledger.worker(), []
    with ledger.database.write() as other:
        hold_job(other, urgent)
        thread = threading.Thread(target=lambda: claimed.append(ledger.claim(worker, size=1)))
        thread.start()
        _wait_for_a_waiting_connection(ledger)
        assert claimed == []
    thread.join(ENOUGH_SECONDS)
    assert [chunk.job_id for chunk in claimed] == [urgent]


def test_where_all_jobs_are_held_claims_do_not_all_wait_for_the_same(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = ledger.job(owner="ada"), ledger.job(owner="bob", prefix="b")
    worker, claimed = ledger.worker(), []
    monkeypatch.setattr("core.claims.leases.choice", lambda jobs: jobs[-1])
    with ledger.database.write() as other:
        hold_job(other, first)
        with ledger.database.write() as one_more:
            hold_job(one_more, second)
            thread = threading.Thread(target=lambda: claimed.append(ledger.claim(worker, size=1)))
            thread.start()
            _wait_for_a_waiting_connection(ledger)
        thread.join(ENOUGH_SECONDS)
        assert [chunk.job_id for chunk in claimed] == [second]


def _wait_for_a_waiting_connection(ledger: Ledger) -> None:
    found = text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    ended = threading.Event()
    for _ in range(round(ENOUGH_SECONDS / 0.02)):
        with ledger.database.read() as session:
            if session.scalar(found):
                return
        ended.wait(0.02)
    raise AssertionError("nobody waits")


def test_a_claim_holds_no_job_of_which_it_took_nothing(ledger: Ledger) -> None:
    waiting, ready = ledger.job(owner="ada"), ledger.job(owner="bob", prefix="b")
    workers = [ledger.worker(), ledger.worker()]
    assert ledger.claim(workers[0], size=1).job_id == waiting
    with ledger.database.write() as session:
        # What is left of it waits for the item that was just claimed; its owner has waited longest all the same.
        session.execute(update(Item).where(Item.job_id == waiting, Item.state == "pending").values(stage=1))
        session.execute(update(User).where(User.name == "ada").values(served_at=None))
        session.execute(update(User).where(User.name == "bob").values(served_at=now(session)))
    with ledger.database.write() as session:
        chunk = claim_chunk(session, workers[1], "gpu", size=1, lease_seconds=60)
        assert chunk is not None
        assert chunk.job_id == ready
        with _impatient(ledger), ledger.database.write() as other:
            hold_job(other, waiting)
            with pytest.raises(Exception, match="lock timeout"):
                hold_job(other, ready)


def test_a_claim_goes_on_behind_the_last_one_and_still_finds_what_was_given_back(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = ledger.job(6)
    worker = ledger.worker()
    first = ledger.claim(worker, size=2)
    statements: list[str] = []

    def see(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        statements.append(statement)

    with ledger.database.write() as session:
        release(session, first.attempt_id, reason="its worker leaves")
    event.listen(ledger.database.engine, "before_cursor_execute", see)
    assert _positions(ledger, ledger.claim(worker, size=2)) == [2, 3], "it goes on"
    looks = [
        statement for statement in statements if "(items.stage, items.lost, items.position) >" in statement
    ]
    assert len(looks) == 1
    event.remove(ledger.database.engine, "before_cursor_execute", see)
    monkeypatch.setattr("core.claims.chunk_moves.monotonic", lambda: time.monotonic() + 3600.0)
    assert _positions(ledger, ledger.claim(worker, size=1)) == [0], "after a while it looks at the front"
    monkeypatch.undo()
    assert _positions(ledger, ledger.claim(worker, size=9)) == [1, 4, 5]
    assert ledger.counted(job_id)["pending"] == 0


def _positions(ledger: Ledger, chunk: InferChunk) -> list[int]:
    with ledger.database.read() as session:
        ids = [item.id for item in chunk.items]
        return list(session.scalars(select(Item.position).where(Item.id.in_(ids)).order_by(Item.position)))


def test_what_lies_before_the_place_that_was_reached_is_found_when_nothing_lies_behind_it(
    ledger: Ledger,
) -> None:
    ledger.job(4)
    worker = ledger.worker()
    first = ledger.claim(worker, size=2)
    ledger.claim(worker, size=2)
    with ledger.database.write() as session:
        release(session, first.attempt_id, reason="its worker leaves")
    assert _positions(ledger, ledger.claim(worker, size=2)) == [0, 1]


def test_two_models_that_draw_the_same_recordings_at_once_never_wait_in_a_ring(ledger: Ledger) -> None:
    ledger.job(6)
    ledger.model(version=2)
    with ledger.database.write() as session:
        items = [NewItem(key=sha256, recording=sha256) for sha256 in ledger.recordings(6)]
        create_job(session, owner_id=ledger.user("ada").id, spec=InferSpec(model="default@2"), items=items)
    chunks = [ledger.claim(ledger.worker(), size=6) for _ in range(2)]
    assert len({chunk.model_version_id for chunk in chunks}) == 2
    both = threading.Barrier(2)
    problems: list[Exception] = []

    def meet(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if "UPDATE recordings" in statement:  # both have entered drawings of these recordings by now
            both.wait(ENOUGH_SECONDS)

    def publish(chunk: InferChunk) -> None:
        try:
            ledger.publish(chunk)
        except Exception as problem:  # noqa: BLE001 - told by the assertion below
            problems.append(problem)

    event.listen(ledger.database.engine, "before_cursor_execute", meet)
    threads = [threading.Thread(target=publish, args=[chunk]) for chunk in chunks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(ENOUGH_SECONDS)
    event.remove(ledger.database.engine, "before_cursor_execute", meet)
    assert problems == []
    with ledger.database.read() as session:
        assert session.scalar(select(func.count()).select_from(Drawing)) == 12
        assert set(session.scalars(select(Job.state))) == {JobState.COMPLETED}


def test_faces_are_entered_while_somebody_else_has_their_job(ledger: Ledger) -> None:
    job_id = ledger.job(3)
    chunk = ledger.claim(ledger.worker())
    entered = threading.Event()

    def see(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if "UPDATE recordings" in statement:
            entered.set()

    event.listen(ledger.database.engine, "after_cursor_execute", see)
    with ledger.database.write() as other:
        hold_job(other, job_id)
        thread = threading.Thread(target=ledger.publish, args=[chunk])
        thread.start()
        assert entered.wait(ENOUGH_SECONDS)
        with ledger.database.read() as session:
            assert session.scalar(select(func.count()).select_from(Drawing)) == 0, "nothing counts yet"
    thread.join(ENOUGH_SECONDS)
    event.remove(ledger.database.engine, "after_cursor_execute", see)
    assert ledger.counted(job_id)["done"] == 3


def test_a_job_that_is_held_keeps_no_other_from_being_rung_for(ledger: Ledger) -> None:
    held, free = ledger.job(owner="ada"), ledger.job(owner="bob", prefix="b")
    with ledger.database.write() as session:
        session.execute(update(Job).values(rung_at=None))
    with ledger.database.write() as other:
        hold_job(other, held)
        with _impatient(ledger):
            assert ring_again(ledger.database, after_seconds=30) == 1
    assert ledger.get(free).rung_at is not None
