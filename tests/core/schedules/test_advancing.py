"""A run follows the ends of its jobs, whatever is killed in between."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from core.claims.leases import claim_chunk
from core.config import Settings
from core.datasets.preparing import DatasetMade, enter_version
from core.jobs import retry_job
from core.ledger.database import now
from core.ledger.tables import Alias, Job, ModelVersion, User
from core.ledger.training_tables import AuditEntry, JobFile
from core.schedules.states import RUN_FINAL, RUN_MOVES, SENTENCES, RunState
from core.schedules.steering import cancel, run_now
from core.states import JobState
from core.store import Store
from tests.core.schedules.scheduling_place import TEMPLATE, SchedulingPlace
from tests.factories import Ledger

PARTS = {part: {"people": 1} for part in ("train", "validation", "test")}


@pytest.fixture
def place(ledger: Ledger, store: Store, settings: Settings) -> SchedulingPlace:
    return SchedulingPlace(ledger, store, settings)


def prepared(place: SchedulingPlace, content: str = "a") -> None:
    """The preparation that waits comes to a good end, with a dataset of this content."""
    with place.database.write() as session:
        job = session.scalars(select(Job).where(Job.kind == "prepare", Job.finished_at.is_(None))).one()
        made = DatasetMade(0, content * 64, [], {"by_split": PARTS}, 1.0)
        enter_version(session, job, "people", made, now(session))
    place.end_jobs()


def trained(place: SchedulingPlace, **outcome: Any) -> None:
    """The training that waits comes to a good end, and leaves what the supervisor leaves."""
    told = {"version": "matcher-voice@1", "promoted": False, "gate": {"sentence": "As good."}, **outcome}
    (job,) = [job for job in place.jobs("train") if job.finished_at is None]
    key = f"jobs/{job.id}/files/result"
    place.store.put(key, json.dumps(told).encode(), "application/json")
    worker = place.ledger.worker()
    with place.database.write() as session:
        chunk = claim_chunk(session, worker, job.queue, size=1, lease_seconds=60)
        assert chunk is not None
        session.add(
            JobFile(
                job_id=job.id,
                name="result.json",
                kind="result",
                object_key=key,
                media_type="application/json",
                size_bytes=1,
                sha256="0" * 64,
                attempt_id=chunk.attempt_id,
                created_at=now(session),
            )
        )
    place.end_jobs()


def through(place: SchedulingPlace, content: str = "a", **outcome: Any) -> None:
    """A whole run, begun by hand."""
    run_now(place.database, place.user, "weekly", clock=place.clock)
    place.round(minutes=1)
    prepared(place, content)
    place.round()
    trained(place, **outcome)
    place.round()


def test_a_run_prepares_trains_and_tells_what_came_of_it(place: SchedulingPlace) -> None:
    schedule = place.schedule()
    place.round(hours=1)
    assert place.states() == ["preparing"]
    prepared(place)
    place.round()
    assert place.states() == ["training"]
    (job,) = place.jobs("train")
    assert (job.spec["dataset"], job.spec["parent"], job.name) == ("people@1", None, "weekly: train matcher")
    trained(place)
    place.round()
    (run,) = place.runs()
    assert (run.state, run.reason) == (RunState.KEPT, "matcher-voice@1 is kept as a candidate. As good.")
    assert (run.result["dataset"], run.result["version"], run.pairs) == ("people@1", "matcher-voice@1", 3)
    assert place.reload(schedule).pairs_at_last == 3
    with place.database.read() as session:
        audited = session.scalars(select(AuditEntry.action).order_by(AuditEntry.id)).all()
    assert audited == ["schedule.create", "schedule.run.kept"]


def test_a_promoted_version_is_told_as_such(place: SchedulingPlace) -> None:
    place.schedule()
    through(place, promoted=True)
    assert place.runs()[0].reason == "matcher-voice@1 was promoted. As good."
    assert place.states() == ["promoted"]


def test_nothing_new_is_not_trained_on_again_unless_somebody_asks(place: SchedulingPlace) -> None:
    place.schedule()
    through(place)
    place.round(hours=1)
    prepared(place)
    place.round()
    assert place.states() == ["kept", "nothing_new"]
    run_now(place.database, place.user, "weekly", anyway=True, clock=place.clock)
    place.round()
    prepared(place)
    place.round()
    assert place.states() == ["kept", "nothing_new", "training"]
    trained(place)
    place.round()
    place.add_people(1)
    run_now(
        place.database, place.user, "weekly", clock=place.clock.__class__(place.clock.at + timedelta(hours=9))
    )
    place.round()
    prepared(place, "b")
    place.round()
    assert place.states()[-1] == "training"


def test_another_training_on_the_same_dataset_is_something_new(place: SchedulingPlace) -> None:
    from core.schedules.specs import Retraining, ScheduleChange
    from core.schedules.steering import edit_schedule

    place.schedule()
    through(place)
    training = {**TEMPLATE["training"], "machine": {"seed": 7}}
    change = ScheduleChange(template=Retraining.model_validate({**TEMPLATE, "training": training}))
    edit_schedule(place.database, place.user, "weekly", change, clock=place.clock)
    place.round(hours=1)
    prepared(place)
    place.round()
    assert place.states() == ["kept", "training"]


def test_two_who_look_at_the_same_time_make_one_job(place: SchedulingPlace) -> None:
    import threading

    from core.ticker import Scheduling

    place.schedule()
    run_now(place.database, place.user, "weekly", clock=place.clock)
    for content in (None, "a"):
        others = [
            Scheduling(place.database, place.store, place.settings, clock=place.clock) for _ in range(4)
        ]
        threads = [threading.Thread(target=other.round) for other in others]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if content is None:
            prepared(place)
    assert (len(place.jobs("prepare")), len(place.jobs("train")), place.states()) == (1, 1, ["training"])


def test_a_retry_of_its_job_lets_a_failed_run_go_on(place: SchedulingPlace) -> None:
    place.schedule()
    place.round(hours=1)
    prepared(place)
    place.round()
    (job,) = place.jobs("train")
    place.end_jobs(JobState.COMPLETED_WITH_ERRORS, "A loss is not finite.")
    place.round()
    assert place.runs()[0].reason == "Its training failed. A loss is not finite."
    place.round()
    assert place.states() == ["failed"]
    with place.database.write() as session:
        session.execute(update(Job).where(Job.id == job.id).values(failed=2))
        retry_job(session, job.id, actor=place.user.id)
    place.round()
    assert place.states() == ["training"]
    trained(place)
    place.round()
    assert place.states() == ["kept"]


def test_a_job_that_was_retried_and_done_between_two_looks_is_noticed(place: SchedulingPlace) -> None:
    place.schedule()
    place.round(hours=1)
    place.end_jobs(JobState.FAILED)
    place.round()
    with place.database.write() as session:
        session.execute(update(Job).values(finished_at=None))
    place.clock.move(minutes=1)
    prepared(place)
    place.round()
    place.round()
    assert place.states() == ["training"]


def test_a_cancelled_run_takes_its_job_along_and_a_cancelled_job_its_run(place: SchedulingPlace) -> None:
    from core.jobs import cancel_job

    place.schedule()
    place.round(hours=1)
    prepared(place)
    place.round()
    cancel(place.database, place.user, place.runs()[0].id, clock=place.clock)
    assert place.jobs("train")[0].state is JobState.CANCELLED
    place.round()
    assert place.states() == ["cancelled"]
    place.round(hours=1)
    with place.database.write() as session:
        cancel_job(session, place.jobs("prepare")[-1].id, actor=place.user.id)
    place.round()
    assert place.runs()[-1].reason == "Its preparation was cancelled."


def test_what_cannot_be_begun_ends_the_run_with_a_sentence(place: SchedulingPlace) -> None:
    place.schedule(template={**TEMPLATE, "source": {"collection": "people", "layout": "manifest"}})
    place.round(hours=1)
    (run,) = place.runs()
    assert run.state is RunState.FAILED
    assert "manifest" in run.reason


def test_a_schedule_of_somebody_whose_account_is_closed_trains_nothing(place: SchedulingPlace) -> None:
    place.schedule()
    with place.database.write() as session:
        session.get_one(User, place.user.id).disabled_at = now(session)
    place.round(hours=1)
    (run,) = place.runs()
    assert (run.state, "olga's, whose account is closed" in run.reason) == (RunState.FAILED, True)
    assert place.jobs("prepare") == []


def test_a_warm_start_begins_with_what_is_in_place_and_fits(place: SchedulingPlace) -> None:
    place.schedule(template={**TEMPLATE, "warm_start": True})
    through(place)
    assert place.jobs("train")[-1].spec["parent"] is None
    assert "starts from scratch" in place.runs()[0].result["remark"]
    with place.database.write() as session:
        for version in (1, 2):
            session.add(
                ModelVersion(
                    id=f"model_m_{version}",
                    name="matcher-voice",
                    version=version,
                    sha256=str(version) * 64,
                    files=[],
                    config={"kind": "matching_speech_encoder", "part": "encoder", "input": "voice"},
                    created_at=now(session),
                )
            )
        session.flush()
        session.add(Alias(name="production", model_version_id="model_m_1", moved_at=now(session)))
    place.clock.move(minutes=5)
    through(place, "b")
    assert place.jobs("train")[-1].spec["parent"] == "matcher-voice@1"


def test_every_end_has_a_sentence_and_every_move_leads_somewhere() -> None:
    assert set(SENTENCES) == set(RUN_MOVES) == set(RunState)
    assert all(sentence.endswith(".") for sentence in SENTENCES.values())
    assert {new for moves in RUN_MOVES.values() for new in moves} | {
        RunState.QUEUED,
        RunState.SKIPPED,
    } == set(RunState)
    assert all(not RUN_MOVES[state] or state in (RunState.FAILED, RunState.CANCELLED) for state in RUN_FINAL)
