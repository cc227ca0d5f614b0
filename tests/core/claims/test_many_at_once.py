"""More items than a statement takes, attempts that draw the same at once, and statements that stay short."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import event, func, select, update

from core.claims.chunks import InferChunk
from core.claims.results import Outcome
from core.errors import LeaseLost
from core.jobs import create_job
from core.ledger.tables import Artifact, Drawing, Item, Recording, Transition
from core.specs import InferSpec, NewItem
from core.states import ItemState, JobState
from tests.factories import Ledger, could_not, drawn

AT_ONCE = 50
MANY = 130  # of items, in the first test


def test_a_job_of_more_items_than_a_statement_takes_is_written_drawn_and_recorded_whole(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.ledger.prepared._ROWS_AT_ONCE", AT_ONCE)
    ledger.model()
    hashes = ledger.recordings(MANY)
    items = [NewItem(key=f"k{number}", recording=sha256) for number, sha256 in enumerate(hashes)]
    items[7] = NewItem(key="k7", name="gone.wav", error_code="unreadable", error_message="It is not there.")
    with ledger.database.write() as session:
        job_id = create_job(
            session, owner_id=ledger.user().id, spec=InferSpec(model="default"), items=items
        ).id
    worker = ledger.worker()
    chunk = ledger.claim(worker, size=MANY)
    assert [item.name for item in chunk.items] == [item.key for item in items if item.recording]
    outcomes: list[Outcome] = [
        could_not(chunk, number) if number == 3 else drawn(chunk, number) for number in range(MANY - 1)
    ]
    assert ledger.publish(chunk, outcomes) == []

    rows = ledger.items(job_id)
    assert [row.position for row in rows] == list(range(MANY))
    assert [row.position for row in rows if row.state is ItemState.FAILED] == [3, 7]
    assert (rows[7].error_code, rows[7].name, rows[7].attempts) == ("unreadable", "gone.wav", 0)
    assert {row.attempts for row in rows if row is not rows[7]} == {1}
    assert all(row.finished_at is not None for row in rows)
    job = ledger.get(job_id)
    assert (job.state, job.done, job.failed) == (JobState.COMPLETED_WITH_ERRORS, MANY - 2, 2)
    with ledger.database.read() as session:
        moves = Counter(
            (old, new)
            for old, new in session.execute(
                select(Transition.old, Transition.new).where(Transition.item_id.is_not(None))
            )
        )
        lasting = session.scalar(
            select(func.count()).select_from(Recording).where(Recording.duration_seconds.is_not(None))
        )
        artifacts = session.scalar(select(func.count()).select_from(Artifact))
    assert moves == {
        (None, "failed"): 1,
        ("pending", "leased"): MANY - 1,
        ("leased", "done"): MANY - 2,
        ("leased", "failed"): 1,
    }
    assert lasting == MANY - 2
    assert artifacts is not None
    assert artifacts % (MANY - 2) == 0


def test_an_attempt_that_has_lost_one_of_its_items_publishes_none_of_them(ledger: Ledger) -> None:
    job_id = ledger.job(5)
    chunk = ledger.claim(ledger.worker())
    with ledger.database.write() as session:
        session.execute(update(Item).where(Item.id == chunk.items[2].id).values(token=chunk.token + 1))
    with pytest.raises(LeaseLost):
        ledger.publish(chunk)
    with ledger.database.read() as session:
        assert session.scalar(select(func.count()).select_from(Drawing)) == 0
        assert session.scalar(select(func.count()).select_from(Artifact)) == 0
        assert (
            session.scalar(
                select(func.count()).select_from(Transition).where(Transition.new == ItemState.DONE.value)
            )
            == 0
        )
    assert ledger.counted(job_id)["leased"] == 5


def test_seconds_may_be_whole_or_not(ledger: Ledger) -> None:
    job_id = ledger.job(2)
    chunk = ledger.claim(ledger.worker())
    ledger.publish(chunk, [could_not(chunk, 0), replace(drawn(chunk, 1), seconds=2, duration_seconds=0)])
    failed, done = ledger.items(job_id)
    assert (failed.state, done.state, done.seconds) == (ItemState.FAILED, ItemState.DONE, 2.0)


def test_two_attempts_that_drew_the_same_recordings_at_once_both_come_to_their_end(ledger: Ledger) -> None:
    jobs = [ledger.job(60), ledger.job(60)]
    chunks = [ledger.claim(ledger.worker(), size=60) for _ in jobs]
    assert {chunk.job_id for chunk in chunks} == set(jobs)
    together = threading.Barrier(2)
    unneeded: list[str] = []
    problems: list[Exception] = []

    def publish(chunk: InferChunk, numbers: list[int]) -> None:
        together.wait(60)
        try:
            unneeded.extend(ledger.publish(chunk, [drawn(chunk, number) for number in numbers]))
        except Exception as problem:  # noqa: BLE001 - told by the assertion below
            problems.append(problem)

    order = list(range(60))
    threads = [
        threading.Thread(target=publish, args=pair) for pair in zip(chunks, [order, order[::-1]], strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert problems == []
    assert sorted(ledger.counted(job)["done"] for job in jobs) == [0, 60]
    assert sorted(ledger.counted(job)["cached"] for job in jobs) == [0, 60]
    assert [ledger.get(job).state for job in jobs] == [JobState.COMPLETED] * 2
    with ledger.database.read() as session:
        assert session.scalar(select(func.count()).select_from(Drawing)) == 60
        kept = set(session.scalars(select(Artifact.object_key)))
    assert unneeded
    assert kept.isdisjoint(unneeded)


@contextmanager
def _statements(ledger: Ledger) -> Iterator[list[tuple[str, Any]]]:
    seen: list[tuple[str, Any]] = []

    def see(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        seen.append((statement, parameters))

    event.listen(ledger.database.engine, "before_cursor_execute", see)
    yield seen
    event.remove(ledger.database.engine, "before_cursor_execute", see)


def test_claims_and_publications_take_few_statements_and_never_walk_a_job(ledger: Ledger) -> None:
    ledger.job(90)
    worker = ledger.worker()
    ledger.publish(ledger.claim(worker, size=30))
    with _statements(ledger) as seen:
        chunk = ledger.claim(worker, size=30)
        claiming = len(seen)
        ledger.publish(chunk)
    assert (claiming, len(seen) - claiming) <= (15, 17)
    if ledger.database.engine.dialect.name != "sqlite":
        return
    with ledger.database.read() as session:
        connection = session.connection()
        for statement, parameters in seen:
            if not statement.startswith(("SELECT", "WITH", "UPDATE")):
                continue
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters).all()
            steps = [str(step[3]) for step in plan]
            assert not any(step.startswith("SCAN items") for step in steps), (statement[-200:], steps)
            # Whoever is found by its state alone is looked for again for each of the others.
            assert not any("ix_items_job_id_state_position" in step for step in steps), (
                statement[-200:],
                steps,
            )
