"""Any order of claims, publications, deaths, cancellations and retries keeps the ledger's promises."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from sqlalchemy import func, select, update

from core.claims.chunks import InferChunk
from core.claims.leases import reap, release
from core.errors import Conflict, LeaseLost
from core.jobs import cancel_job, pause_job, resume_job, retry_job
from core.ledger.database import Database
from core.ledger.tables import Attempt, Drawing, Transition
from core.states import ITEM_FINAL, ITEM_MOVES, JOB_FINAL, JOB_MOVES, ItemState, JobState
from tests.factories import Ledger, could_not, drawn
from tests.ledgers import make_ledger


class LedgerMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        url = f"sqlite:///{Path(self.folder.name) / 'ledger.sqlite3'}"
        make_ledger(url)
        self.ledger = Ledger(Database(url))
        self.worker = self.ledger.worker()
        self.jobs: list[str] = []
        self.chunks: list[
            tuple[InferChunk, list[int]]
        ] = []  # with the numbers of the items not yet published

    def teardown(self) -> None:
        self.ledger.database.dispose()
        self.folder.cleanup()

    @precondition(lambda self: len(self.jobs) < 3)
    @rule(count=st.integers(1, 7), owner=st.sampled_from(["ada", "grace"]))
    def submit(self, count: int, owner: str) -> None:
        self.jobs.append(self.ledger.job(count, owner=owner))

    @rule(size=st.integers(1, 4))
    def claim(self, size: int) -> None:
        chunk = self.ledger.try_claim(self.worker, size=size)
        if chunk is not None:
            self.chunks.append((chunk, list(range(len(chunk.items)))))

    @precondition(lambda self: self.chunks)
    @rule(data=st.data(), fails=st.booleans())
    def publish_some(self, data: st.DataObject, fails: bool) -> None:
        chunk, left = data.draw(st.sampled_from(self.chunks))
        taken = left[: data.draw(st.integers(0, len(left)))]
        make = could_not if fails else drawn
        try:
            self.ledger.publish(chunk, [make(chunk, number) for number in taken])
        except LeaseLost:
            self.chunks.remove((chunk, left))
            return
        del left[: len(taken)]
        if not left:
            self.chunks.remove((chunk, left))

    @precondition(lambda self: self.chunks)
    @rule(data=st.data())
    def let_go(self, data: st.DataObject) -> None:
        entry = data.draw(st.sampled_from(self.chunks))
        self.chunks.remove(entry)
        try:
            with self.ledger.database.write() as session:
                release(session, entry[0].attempt_id, reason="test")
        except LeaseLost:
            pass  # a zombie has nothing to give back

    @precondition(lambda self: self.chunks)
    @rule(data=st.data())
    def lose_a_worker_that_comes_back_as_a_zombie(self, data: st.DataObject) -> None:
        chunk, _ = data.draw(
            st.sampled_from(self.chunks)
        )  # it stays in the list and may try to publish later
        with self.ledger.database.write() as session:
            session.execute(
                update(Attempt).where(Attempt.id == chunk.attempt_id).values(lease_until=Attempt.started_at)
            )
        reap(self.ledger.database, max_attempts=5)
        self.chunks = [entry for entry in self.chunks if entry[0] is not chunk or entry[1]]

    @precondition(lambda self: self.jobs)
    @rule(data=st.data(), what=st.sampled_from(["cancel", "pause", "resume", "retry"]))
    def ask(self, data: st.DataObject, what: str) -> None:
        job = data.draw(st.sampled_from(self.jobs))
        change = {"cancel": cancel_job, "pause": pause_job, "resume": resume_job, "retry": retry_job}[what]
        try:
            with self.ledger.database.write() as session:
                change(session, job, actor="somebody")  # type: ignore[operator]
        except Conflict:
            pass

    @invariant()
    def counters_say_what_the_rows_say(self) -> None:
        for job in self.jobs:
            assert self.ledger.counters(job) == self.ledger.counted(job)
            assert sum(self.ledger.counters(job).values()) == self.ledger.get(job).total

    @invariant()
    def a_final_job_has_only_final_items(self) -> None:
        for job in self.jobs:
            row = self.ledger.get(job)
            assert (row.state in JOB_FINAL) == (row.finished_at is not None)
            if row.state in JOB_FINAL:
                assert all(item.state in ITEM_FINAL for item in self.ledger.items(job))

    @invariant()
    def a_job_with_nothing_left_to_do_is_final(self) -> None:
        for job in self.jobs:
            row = self.ledger.get(job)
            assert row.pending + row.leased > 0 or row.state in JOB_FINAL

    @invariant()
    def every_recorded_move_is_an_allowed_one(self) -> None:
        with self.ledger.database.read() as session:
            moves = session.execute(
                select(Transition.item_id.is_(None), Transition.old, Transition.new)
                .where(Transition.old.is_not(None))
                .distinct()
            ).all()
        for of_job, old, new in moves:
            if of_job:
                assert JobState(new) in JOB_MOVES[JobState(old)]
            else:
                assert ItemState(new) in ITEM_MOVES[ItemState(old)]

    @invariant()
    def a_recording_has_at_most_one_published_drawing(self) -> None:
        with self.ledger.database.read() as session:
            most = session.scalars(
                select(func.count()).select_from(Drawing).group_by(Drawing.recording_sha256)
            ).all()
        assert all(count == 1 for count in most)


TestLedgerMachine = LedgerMachine.TestCase
TestLedgerMachine.settings = settings(max_examples=15, stateful_step_count=25, deadline=None)
