"""What jobs cost, of what was measured and at prices that somebody set."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from pydantic import SecretStr
from sqlalchemy import update

from core.claims.results import Outcome
from core.config import Settings
from core.costs import Cost, Prices, bytes_stored, charge, cost_of, money, prices_of
from core.estimates import estimate
from core.ledger.tables import Attempt, Job, User, Worker
from core.states import JobState
from tests.factories import Ledger, could_not, drawn

PRICES = Prices(gpu_hour=2.0, cpu_hour=0.5, gb_month=0.02, currency="EUR")


def told(ledger: Ledger, job_id: str, prices: Prices | None = PRICES) -> Cost | None:
    with ledger.database.read() as session:
        return cost_of(session, session.get_one(Job, job_id), prices)


def spend(ledger: Ledger, job_id: str, device: str, seconds: float) -> None:
    with ledger.database.write() as session:
        charge(session, job_id, device, seconds)


def draw(ledger: Ledger, job_id: str, failing: int = 0) -> None:
    chunk = ledger.claim(ledger.worker())
    assert chunk.job_id == job_id
    outcomes: list[Outcome] = [
        could_not(chunk, number) if number < failing else drawn(chunk, number)
        for number in range(len(chunk.items))
    ]
    ledger.publish(chunk, outcomes)


def test_time_of_each_kind_of_worker_has_its_price_and_what_failed_is_paid_for_too(ledger: Ledger) -> None:
    job = ledger.job(5)
    assert told(ledger, job) is None
    draw(ledger, job, failing=1)
    spend(ledger, job, "cuda:0", 900)
    spend(ledger, job, "cpu", 3600)
    spend(ledger, job, "cuda:1", 900)
    cost = told(ledger, job)
    assert cost is not None
    assert cost.work == pytest.approx(1.5)
    assert cost.per_thousand == pytest.approx(1.5 / 4 * 1000)
    # A recording of 1,000 bytes, a face and a spectrogram of ten.
    assert cost.storage_a_month == pytest.approx(4 * 1020 / 1e9 * 0.02)
    assert cost.sentence.startswith("About 1.50 EUR, which is 375.00 EUR for 1,000 faces, and ")


def test_nothing_is_said_of_what_has_no_price_or_was_not_measured(ledger: Ledger) -> None:
    job = ledger.job(2)
    draw(ledger, job)
    assert told(ledger, job, replace(PRICES, gb_month=None)) is None
    spend(ledger, job, "cpu", 360)
    spend(ledger, job, "cuda", 360)
    assert told(ledger, job, None) is None
    # A part of the work would look like all of it.
    without = told(ledger, job, replace(PRICES, cpu_hour=None))
    assert without is not None
    assert (without.work, without.per_thousand) == (None, None)
    assert without.sentence == "Storing it costs about <0.0001 EUR a month."
    alone = told(ledger, job, replace(PRICES, gb_month=None))
    assert alone is not None
    assert alone.sentence == "About 0.25 EUR, which is 125.00 EUR for 1,000 faces."


def test_faces_that_a_rule_removed_cost_nothing_to_store(ledger: Ledger) -> None:
    job = ledger.job(2)
    draw(ledger, job)
    with ledger.database.write() as session:
        session.execute(update(Job).where(Job.id == job).values(purged_at=Job.finished_at))
    assert told(ledger, job) is None


def test_a_training_costs_the_time_that_workers_held_it(ledger: Ledger) -> None:
    program = ledger.training()
    program.leaves("model.safetensors", "model", b"x" * 500)
    with ledger.database.write() as session:
        first = session.get_one(Attempt, program.attempt_id)
        session.get_one(Worker, first.worker_id).device = "cuda:0"
        first.ended_at = first.started_at + timedelta(hours=2)
        # Held beside the first for half an hour, and for another after it.
        second = {
            column.name: getattr(first, column.name)
            for column in Attempt.__table__.columns
            if column.name not in ("id", "token", "started_at", "ended_at")
        }
        session.add(
            Attempt(
                id="attempt_second",
                token=2,
                started_at=first.ended_at - timedelta(minutes=30),
                ended_at=first.ended_at + timedelta(minutes=30),
                **second,
            )
        )
    program.ends(JobState.COMPLETED)
    cost = told(ledger, program.job_id)
    assert cost is not None
    assert cost.work == pytest.approx(2.5 * 2.0)
    assert cost.per_thousand is None
    with ledger.database.read() as session:
        assert bytes_stored(session, session.get_one(Job, program.job_id)) == 500


def test_an_estimate_says_what_a_job_would_cost_where_something_was_measured(ledger: Ledger) -> None:
    def asked(prices: Prices | None) -> Cost | None:
        with ledger.database.read() as session:
            user = session.get_one(User, ledger.user().id)
            return estimate(session, user, model="default", items=9000, queue="gpu", prices=prices).cost

    ledger.model()
    assert asked(PRICES) is None
    job = ledger.job(4)
    draw(ledger, job)
    with ledger.database.write() as session:
        # Two faces a second, by a worker on processors.
        session.execute(update(Attempt).where(Attempt.job_id == job).values(started_at=Attempt.progress_at))
        for attempt in session.query(Attempt).where(Attempt.job_id == job):
            attempt.started_at = attempt.progress_at - timedelta(seconds=2)
    cost = asked(PRICES)
    assert cost is not None
    assert cost.work == pytest.approx(9000 / 2 / 3600 * 0.5)
    assert cost.per_thousand == pytest.approx(1000 / 2 / 3600 * 0.5)
    assert cost.storage_a_month == pytest.approx(9000 * 1020 / 1e9 * 0.02)
    assert asked(None) is None
    no_cpu = asked(replace(PRICES, cpu_hour=None, gb_month=None))
    assert no_cpu is None


def test_prices_come_from_the_settings() -> None:
    settings = Settings(database_url="sqlite://", broker_url=SecretStr("redis://127.0.0.1:1"))
    assert prices_of(settings) is None
    some = settings.model_copy(update={"price_per_gpu_hour": 1.8, "price_currency": "USD"})
    assert prices_of(some) == Prices(1.8, None, None, "USD")


@pytest.mark.parametrize(
    ("amount", "words"),
    [
        (1234.5, "1,234.50 EUR"),
        (0.1, "0.10 EUR"),
        (0.0123, "0.012 EUR"),
        (0.00042, "0.00042 EUR"),
        (1e-9, "<0.0001 EUR"),
        (0, "0.00 EUR"),
    ],
)
def test_amounts_have_as_many_digits_as_say_something(amount: float, words: str) -> None:
    assert money(amount, "EUR") == words
