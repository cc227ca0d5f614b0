"""Jobs as people change them."""

from __future__ import annotations

import threading

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError

from core.errors import Conflict, InvalidRequest, NotFound
from core.jobs import cancel_job, create_job, pause_job, resume_job, retry_job
from core.ledger.database import Database
from core.ledger.tables import Job, Outbox, Transition
from core.queries import errors_by_code, eta_seconds, get_job, items_page, list_jobs
from core.specs import InferSpec, NewItem
from core.states import ItemState, JobState
from tests.factories import Ledger, could_not, drawn


def make(ledger: Ledger, items: list[NewItem], **more: object) -> Job:
    ledger.model()
    with ledger.database.write() as session:
        return create_job(
            session,
            owner_id=ledger.user().id,
            spec=InferSpec(model="default"),
            items=items,
            **more,  # type: ignore[arg-type]
        )


def test_a_new_job_is_queued_with_its_items_and_its_doorbell(ledger: Ledger) -> None:
    job = ledger.job(3)
    assert ledger.get(job).state is JobState.QUEUED
    assert ledger.counters(job) == ledger.counted(job)
    with ledger.database.read() as session:
        assert session.execute(select(Outbox.job_id, Outbox.queue)).all() == [(job, "gpu")]
        moves = session.scalars(
            select(Transition.new)
            .where(Transition.job_id == job, Transition.item_id.is_(None))
            .order_by(Transition.id)
        ).all()
    assert moves == ["validating", "queued"]


def test_a_job_without_recordings_is_refused(ledger: Ledger) -> None:
    with pytest.raises(InvalidRequest, match="add at least one"):
        make(ledger, [])


def test_a_job_with_too_many_recordings_is_refused(ledger: Ledger) -> None:
    (sha256,) = ledger.recordings(1)
    with pytest.raises(InvalidRequest, match="at most 2"):
        make(ledger, [NewItem(key=str(n), recording=sha256) for n in range(3)], max_items=2)


def test_a_key_used_twice_is_refused_with_its_line(ledger: Ledger) -> None:
    (sha256,) = ledger.recordings(1)
    with pytest.raises(InvalidRequest, match="Item 2: the key 'a'"):
        make(ledger, [NewItem(key="a", recording=sha256), NewItem(key="a", recording=sha256)])


def test_the_same_recording_may_stand_on_two_lines(ledger: Ledger) -> None:
    (sha256,) = ledger.recordings(1)
    assert make(ledger, [NewItem(key="a", recording=sha256), NewItem(key="b", recording=sha256)]).total == 2


def test_somebody_elses_recording_cannot_be_used(ledger: Ledger) -> None:
    (sha256,) = ledger.recordings(1, owner="grace")
    with pytest.raises(InvalidRequest, match="not here"):
        make(ledger, [NewItem(key="a", recording=sha256)])


def test_an_unknown_model_is_refused_with_those_there_are(ledger: Ledger) -> None:
    ledger.model()
    (sha256,) = ledger.recordings(1)
    with ledger.database.write() as session, pytest.raises(InvalidRequest, match="There are: default@1"):
        create_job(
            session,
            owner_id=ledger.user().id,
            spec=InferSpec(model="nonsense"),
            items=[NewItem(key="a", recording=sha256)],
        )


def test_a_recording_that_could_not_be_sent_is_an_item_with_its_reason(ledger: Ledger) -> None:
    (sha256,) = ledger.recordings(1)
    unsent = NewItem(key="b", error_code="unreadable_file", error_message="It cannot be opened.")
    job = make(ledger, [NewItem(key="a", recording=sha256), unsent])
    assert (job.pending, job.failed) == (1, 1)
    with ledger.database.read() as session:
        born = session.execute(
            select(Transition.old, Transition.new, Transition.reason).where(Transition.item_id.is_not(None))
        ).all()
    assert [tuple(move) for move in born] == [(None, "failed", "unreadable_file")]
    ledger.publish(ledger.claim(ledger.worker()))
    assert ledger.get(job.id).state is JobState.COMPLETED_WITH_ERRORS


def test_a_job_of_nothing_but_unsent_recordings_ends_at_once(ledger: Ledger) -> None:
    job = make(ledger, [NewItem(key="b", error_code="too_large", error_message="Too large.")])
    assert job.state is JobState.COMPLETED_WITH_ERRORS
    with ledger.database.write() as session, pytest.raises(Conflict, match="nothing of that kind"):
        retry_job(session, job.id, actor="ada")


def test_names_that_no_database_keeps_are_made_storable(ledger: Ledger) -> None:
    (sha256,) = ledger.recordings(1)
    job = make(ledger, [NewItem(key="a\0b", name="caf\udce9 \U0001f3a4 '\"../.wav", recording=sha256)])
    (item,) = ledger.items(job.id)
    assert item.key == "a\ufffdb"
    assert item.name == "caf? \U0001f3a4 '\"../.wav"


def test_the_same_idempotency_key_brings_back_the_same_job(ledger: Ledger) -> None:
    (sha256,) = ledger.recordings(1)
    items = [NewItem(key="a", recording=sha256)]
    first = make(ledger, items, idempotency_key="once")
    assert make(ledger, items, idempotency_key="once").id == first.id


def test_an_idempotency_key_used_many_times_at_once_makes_one_job(ledger: Ledger, database_url: str) -> None:
    (sha256,) = ledger.recordings(1)
    ledger.model()
    owner = ledger.user().id
    ids: set[str] = set()

    def submit() -> None:
        database = Database(database_url)
        try:
            for _ in range(5):
                try:
                    with database.write() as session:
                        job = create_job(
                            session,
                            owner_id=owner,
                            spec=InferSpec(model="default"),
                            items=[NewItem(key="a", recording=sha256)],
                            idempotency_key="once",
                        )
                except IntegrityError:
                    continue  # PostgreSQL: the other one won; asking again finds its job
                ids.add(job.id)
        finally:
            database.dispose()

    threads = [threading.Thread(target=submit) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(ids) == 1
    with ledger.database.read() as session:
        assert session.scalar(select(func.count()).select_from(Job)) == 1


def test_cancelling_a_queued_job_ends_it_at_once(ledger: Ledger) -> None:
    job = ledger.job(3)
    with ledger.database.write() as session:
        cancel_job(session, job, actor="ada")
    assert ledger.get(job).state is JobState.CANCELLED
    assert ledger.counters(job)["cancelled"] == 3
    assert ledger.try_claim(ledger.worker()) is None


def test_cancelling_twice_changes_nothing_and_a_finished_job_cannot_be_cancelled(ledger: Ledger) -> None:
    job = ledger.job(1)
    with ledger.database.write() as session:
        cancel_job(session, job, actor="ada")
        assert cancel_job(session, job, actor="ada").state is JobState.CANCELLED
    other = ledger.job(1)
    ledger.publish(ledger.claim(ledger.worker()))
    with ledger.database.write() as session, pytest.raises(Conflict, match="already ended"):
        cancel_job(session, other, actor="ada")


def test_nothing_is_claimed_from_a_paused_job_until_it_is_resumed(ledger: Ledger) -> None:
    job = ledger.job(4)
    worker = ledger.worker()
    chunk = ledger.claim(worker, size=2)
    with ledger.database.write() as session:
        pause_job(session, job, actor="ada")
    ledger.publish(chunk)  # what was on the device is finished
    assert ledger.try_claim(worker) is None
    with ledger.database.write() as session:
        resume_job(session, job, actor="ada")
    ledger.publish(ledger.claim(worker))
    assert ledger.get(job).state is JobState.COMPLETED


def test_a_paused_job_whose_last_items_end_completes(ledger: Ledger) -> None:
    job = ledger.job(2)
    chunk = ledger.claim(ledger.worker())
    with ledger.database.write() as session:
        pause_job(session, job, actor="ada")
    ledger.publish(chunk)
    assert ledger.get(job).state is JobState.COMPLETED


def test_retry_takes_only_what_failed(ledger: Ledger) -> None:
    job = ledger.job(3)
    worker = ledger.worker()
    chunk = ledger.claim(worker)
    ledger.publish(chunk, [drawn(chunk, 0), could_not(chunk, 1), could_not(chunk, 2)])
    with ledger.database.write() as session:
        assert retry_job(session, job, actor="ada") == 2
    again = ledger.claim(worker)
    assert [item.name for item in again.items] == ["voice 1.wav", "voice 2.wav"]
    ledger.publish(again)
    assert ledger.get(job).state is JobState.COMPLETED
    assert ledger.counters(job) == ledger.counted(job)
    assert [item.error_code for item in ledger.items(job)] == [None, None, None]


def test_retry_of_chosen_items_leaves_the_others(ledger: Ledger) -> None:
    job = ledger.job(2)
    chunk = ledger.claim(ledger.worker())
    ledger.publish(chunk, [could_not(chunk, 0), could_not(chunk, 1)])
    with ledger.database.write() as session:
        assert retry_job(session, job, actor="ada", item_ids=[chunk.items[1].id]) == 1
    assert [item.state for item in ledger.items(job)] == [ItemState.FAILED, ItemState.PENDING]


def test_a_running_or_flawless_job_cannot_be_retried(ledger: Ledger) -> None:
    job = ledger.job(1)
    with ledger.database.write() as session, pytest.raises(Conflict, match="still at work"):
        retry_job(session, job, actor="ada")
    ledger.publish(ledger.claim(ledger.worker()))
    with ledger.database.write() as session, pytest.raises(Conflict, match="nothing to retry"):
        retry_job(session, job, actor="ada")


def test_a_submitter_sees_only_their_own_jobs_and_an_operator_all(ledger: Ledger) -> None:
    from core.people.accounts import Role

    own, other = ledger.job(1, owner="ada"), ledger.job(1, owner="grace")
    operator = ledger.user("root", Role.OPERATOR)
    with ledger.database.read() as session:
        assert [job.id for job in list_jobs(session, ledger.user("ada"))] == [own]
        assert [job.id for job in list_jobs(session, operator)] == [other, own]
        assert [job.id for job in list_jobs(session, operator, before=other)] == [own]
        with pytest.raises(NotFound):
            get_job(session, ledger.user("ada"), other)


def test_errors_are_grouped_by_code_and_the_rate_tells_the_time_left(ledger: Ledger) -> None:
    job = ledger.job(6)
    worker = ledger.worker()
    chunk = ledger.claim(worker, size=4)
    ledger.publish(
        chunk, [drawn(chunk, 0), could_not(chunk, 1), could_not(chunk, 2), could_not(chunk, 3, "not_audio")]
    )
    with ledger.database.read() as session:
        assert [(code, count) for code, count, _ in errors_by_code(session, job)] == [
            ("no_speech", 2),
            ("not_audio", 1),
        ]
        eta = eta_seconds(ledger.get(job))
        rate = ledger.get(job).rate_per_second
        assert eta is not None and rate is not None
        assert eta == pytest.approx(2 / rate)
        assert [row.name for row in items_page(session, job, after=3)] == ["voice 4.wav", "voice 5.wav"]
