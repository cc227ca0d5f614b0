"""Trainings in the ledger: claimed one at a time, fenced in everything they tell, and ended clearly."""

from __future__ import annotations

import math

import pytest
from sqlalchemy import func, select

from core.claims.chunks import ProgramChunk
from core.claims.leases import attempts_to_stop, claim_chunk, is_work_waiting, release
from core.errors import Conflict, InvalidRequest, LeaseLost, NotFound
from core.jobs import cancel_job, pause_job, resume_job, retry_job
from core.ledger.training_tables import LogLine, Measurement, TrainingProgress
from core.specs import PROGRAM_KINDS
from core.states import ItemState, JobState
from core.training.jobs import create_program_job, run_again
from core.training.program_results import (
    LOG_LINES_KEPT,
    LeftFile,
    Line,
    Point,
    Standing,
    files_left,
    forget_file,
    give_back_killed,
    is_mine,
    publish_failure,
    publish_file,
    publish_standing,
    publish_step,
)
from core.training.specs import TrainSpec
from tests.datasets import enter_dataset
from tests.factories import Ledger


def train(ledger: Ledger, model: str = "mine") -> str:
    spec = TrainSpec.model_validate({"model": model, "dataset": "people", "recipe": {"task": "default"}})
    with ledger.database.write() as session:
        return create_program_job(session, owner_id=ledger.user().id, spec=spec).id


@pytest.fixture
def ledger(ledger: Ledger) -> Ledger:
    owner = ledger.user().id
    with ledger.database.write() as session:
        enter_dataset(session, owner)
    return ledger


def try_claim(ledger: Ledger, worker: str, kinds: tuple[str, ...] | None = None) -> ProgramChunk | None:
    with ledger.database.write() as session:
        chunk = claim_chunk(session, worker, "gpu", size=32, lease_seconds=60, kinds=kinds)
        assert chunk is None or isinstance(chunk, ProgramChunk)
        return chunk


def claim(ledger: Ledger, worker: str) -> ProgramChunk:
    chunk = try_claim(ledger, worker)
    assert chunk is not None
    return chunk


def left(name: str, content: str = "a", kind: str = "checkpoint") -> LeftFile:
    return LeftFile(name, kind, f"key-{content}", "application/octet-stream", 1, content * 64)


def test_a_training_is_claimed_step_by_step_and_only_by_those_who_take_programs(ledger: Ledger) -> None:
    worker, job = ledger.worker(), train(ledger)
    assert try_claim(ledger, worker, ("infer", "prepare")) is None
    with ledger.database.read() as session:
        assert not is_work_waiting(session, "gpu", ("infer", "prepare"))
        assert is_work_waiting(session, "gpu", PROGRAM_KINDS)
    first = claim(ledger, worker)
    assert [(step.name, step.stage) for step in first.items] == [("the training of mine", 0)]
    assert first.spec["dataset"] == "people@1"
    assert try_claim(ledger, worker) is None  # the model waits for its training
    with ledger.database.write() as session:
        publish_step(session, first, seconds=1.0)
    second = claim(ledger, worker)
    assert second.items[0].stage == 1
    version = ledger.model()
    with ledger.database.write() as session:
        publish_step(session, second, seconds=1.0, model_version_id=version.id)
    assert ledger.get(job).state is JobState.COMPLETED
    assert ledger.get(job).model_version_id == version.id


def test_what_a_program_tells_is_there_once_however_often_it_tells_it(ledger: Ledger) -> None:
    job = train(ledger)
    chunk = claim(ledger, ledger.worker())
    for value in (0.5, 0.25):
        with ledger.database.write() as session:
            publish_standing(
                session,
                chunk,
                standing=Standing(step=3, steps=9, learning_rate=math.inf),
                points=[
                    Point("train/total", 3, 0.5, 9.0),
                    Point("train/total", 3, 0.5, value),
                    Point("odd", 3, 0.5, math.nan),
                ],
            )
    with ledger.database.write() as session:
        publish_standing(session, chunk, doing="measuring")
    with ledger.database.read() as session:
        points = session.execute(select(Measurement.series, Measurement.step, Measurement.value)).all()
        progress = session.get(TrainingProgress, job)
    assert [tuple(point) for point in points] == [("train/total", 3, 0.25)]
    assert progress is not None
    assert (progress.step, progress.steps, progress.learning_rate, progress.doing) == (
        3,
        9,
        None,
        "measuring",
    )


def test_the_last_lines_of_a_log_are_kept_and_any_text_is_taken(ledger: Ledger) -> None:
    train(ledger)
    chunk = claim(ledger, ledger.worker())
    with ledger.database.write() as session:
        publish_standing(session, chunk, lines=[Line(f"line {number}") for number in range(LOG_LINES_KEPT)])
    with ledger.database.write() as session:
        publish_standing(session, chunk, lines=[Line("nul \0, half \ud800 and " + "x" * 10_000, "warning")])
    with ledger.database.read() as session:
        assert session.scalar(select(func.count()).select_from(LogLine)) == LOG_LINES_KEPT
        lines = session.scalars(select(LogLine).order_by(LogLine.id)).all()
    assert lines[0].text == "line 1"
    assert lines[-1].text.startswith("nul \N{REPLACEMENT CHARACTER}, half ? and xxx")
    assert len(lines[-1].text) == 4000


def test_a_file_replaces_its_older_self_and_content_that_two_share_stays(ledger: Ledger) -> None:
    job = train(ledger)
    chunk = claim(ledger, ledger.worker())
    unneeded = []
    for file in (left("1", "a"), left("best", "a", "best"), left("2", "b"), left("best", "b", "best")):
        with ledger.database.write() as session:
            unneeded.append(publish_file(session, chunk, file))
    assert unneeded == [[], [], [], []]  # the first content is still that of file 1
    with ledger.database.write() as session:
        assert forget_file(session, chunk, "1") == ["key-a"]
    with ledger.database.write() as session:
        assert forget_file(session, chunk, "2") == []
        assert forget_file(session, chunk, "never there") == []
    with ledger.database.read() as session:
        assert [file.name for file in files_left(session, job, ("checkpoint", "best"))] == ["best"]
        assert files_left(session, job, ("report",)) == []


def test_a_lost_attempt_writes_nothing_of_any_kind(ledger: Ledger) -> None:
    job = train(ledger)
    chunk = claim(ledger, ledger.worker())
    with ledger.database.read() as session:
        assert is_mine(session, chunk)
    with ledger.database.write() as session:
        release(session, chunk.attempt_id, reason="a test")
    for write in (
        lambda session: publish_standing(session, chunk, standing=Standing(), lines=[Line("x")]),
        lambda session: publish_file(session, chunk, left("1")),
        lambda session: forget_file(session, chunk, "1"),
        lambda session: publish_step(session, chunk, seconds=1.0),
        lambda session: publish_failure(session, chunk, code="x", message="x", seconds=1.0),
        lambda session: give_back_killed(session, chunk, reason="x", max_attempts=3, seconds=1.0),
    ):
        with pytest.raises(LeaseLost), ledger.database.write() as session:
            write(session)
    with ledger.database.read() as session:
        assert not is_mine(session, chunk)
        assert session.get(TrainingProgress, job) is None
        assert files_left(session, job, ("checkpoint",)) == []


def test_a_failed_training_fails_its_job_and_a_retry_takes_both_steps_up_again(ledger: Ledger) -> None:
    worker, job = ledger.worker(), train(ledger)
    chunk = claim(ledger, worker)
    with ledger.database.write() as session:
        publish_failure(session, chunk, code="not_finite", message="A loss is NaN.", seconds=1.0)
    failed = ledger.get(job)
    assert (failed.state, failed.error_code, failed.error_message) == (
        JobState.FAILED,
        "not_finite",
        "A loss is NaN.",
    )
    assert [item.error_code for item in ledger.items(job)] == ["not_finite", "step_before_failed"]
    assert ledger.counters(job) == ledger.counted(job)
    with ledger.database.write() as session:
        assert retry_job(session, job, actor="tester") == 2
    assert ledger.get(job).error_code is None
    assert claim(ledger, worker).items[0].stage == 0


def test_a_program_that_keeps_dying_is_given_up_unless_it_got_further_in_between(ledger: Ledger) -> None:
    worker, job = ledger.worker(), train(ledger)

    def die(chunk: ProgramChunk) -> bool:
        with ledger.database.write() as session:
            return give_back_killed(session, chunk, reason="It was killed.", max_attempts=2, seconds=1.0)

    assert die(claim(ledger, worker))
    again = claim(ledger, worker)
    assert again.lost == 1
    with ledger.database.write() as session:
        publish_file(session, again, left("1"))  # a checkpoint
    assert die(again)
    assert not die(claim(ledger, worker))
    found = ledger.get(job)
    assert (found.state, found.error_code) == (JobState.FAILED, "program_killed")
    assert "2 times without a checkpoint" in (found.error_message or "")


def test_pausing_and_cancelling_reach_a_program_at_once(ledger: Ledger) -> None:
    worker, job = ledger.worker(), train(ledger)
    chunk = claim(ledger, worker)

    def must_stop(of: ProgramChunk) -> bool:
        with ledger.database.read() as session:
            return attempts_to_stop(session, [of.attempt_id]) == {of.attempt_id}

    assert not must_stop(chunk)
    with ledger.database.write() as session:
        pause_job(session, job, actor="tester")
    assert must_stop(chunk)
    with ledger.database.write() as session:
        release(session, chunk.attempt_id, reason="paused")
    assert try_claim(ledger, worker) is None
    with ledger.database.write() as session:
        resume_job(session, job, actor="tester")
    chunk = claim(ledger, worker)
    with ledger.database.write() as session:
        cancel_job(session, job, actor="tester")
    assert must_stop(chunk)
    with ledger.database.write() as session:
        publish_file(session, chunk, left("1"))  # what it leaves on its way out still counts
        release(session, chunk.attempt_id, reason="cancelled")
    assert ledger.get(job).state is JobState.CANCELLED
    assert {item.state for item in ledger.items(job)} == {ItemState.CANCELLED}


def test_run_again_is_a_new_job_and_other_kinds_have_none(ledger: Ledger) -> None:
    job, owner = train(ledger), ledger.user().id
    with ledger.database.write() as session:
        again = run_again(session, job, owner_id=owner, idempotency_key="k").id
        assert run_again(session, job, owner_id=owner, idempotency_key="k").id == again
    assert again != job
    assert ledger.get(again).spec == ledger.get(job).spec
    drawing = ledger.job(1)
    with ledger.database.write() as session:
        with pytest.raises(Conflict):
            run_again(session, drawing, owner_id=owner)
        with pytest.raises(NotFound):
            run_again(session, "job_none", owner_id=owner)


def test_a_training_of_several_hosts_waits_where_only_groups_of_so_many_look(ledger: Ledger) -> None:
    wanted = {"model": "mine", "dataset": "people", "recipe": {"task": "default"}, "machine": {"hosts": 3}}
    with ledger.database.write() as session:
        owner = ledger.user().id
        job = create_program_job(session, owner_id=owner, spec=TrainSpec.model_validate(wanted))
        again = run_again(session, job.id, owner_id=owner)
    assert job.queue == again.queue == "gpu-3-hosts"
    assert try_claim(ledger, ledger.worker()) is None


def test_a_dataset_that_is_not_there_is_refused_with_the_field(ledger: Ledger) -> None:
    spec = TrainSpec.model_validate({"model": "m", "dataset": "none", "recipe": {"task": "default"}})
    with (
        pytest.raises(InvalidRequest, match="dataset: There is no dataset 'none'"),
        ledger.database.write() as session,
    ):
        create_program_job(session, owner_id=ledger.user().id, spec=spec)
