"""Doorbells: rung after the work is safe, and rung again when nobody comes."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from core.claims.outbox import MOST_RINGS, publish, ring_again
from core.errors import BrokerUnavailable
from core.jobs import create_job, pause_job
from core.ledger.tables import Outbox
from core.specs import InferSpec, NewItem
from tests.factories import FakeDoorbell, Ledger


def test_a_new_job_is_rung_once(ledger: Ledger) -> None:
    ledger.job(1)
    doorbell = FakeDoorbell()
    assert publish(ledger.database, doorbell) == 1
    assert publish(ledger.database, doorbell) == 0
    assert doorbell.rung == ["gpu"]


def test_a_large_job_wakes_several_workers_but_not_one_for_each_item(ledger: Ledger) -> None:
    ledger.job(100)
    doorbell = FakeDoorbell()
    publish(ledger.database, doorbell)
    assert len(doorbell.rung) == 4
    ledger.job(1000, prefix="many")
    publish(ledger.database, doorbell)
    assert len(doorbell.rung) == 4 + MOST_RINGS


def test_a_broker_that_is_away_loses_nothing(ledger: Ledger) -> None:
    ledger.job(1)
    doorbell = FakeDoorbell()
    doorbell.broken = BrokerUnavailable()
    with pytest.raises(BrokerUnavailable):
        publish(ledger.database, doorbell)
    doorbell.broken = None
    assert publish(ledger.database, doorbell) == 1
    assert doorbell.rung == ["gpu"]


def test_a_job_that_nobody_claimed_is_rung_again_only_after_a_while(ledger: Ledger) -> None:
    ledger.job(1)
    publish(ledger.database, FakeDoorbell())
    assert ring_again(ledger.database, after_seconds=30) == 0
    assert ring_again(ledger.database, after_seconds=0) == 1
    doorbell = FakeDoorbell()
    publish(ledger.database, doorbell)
    assert doorbell.rung == ["gpu"]


def test_paused_finished_and_wholly_claimed_jobs_are_left_in_peace(ledger: Ledger) -> None:
    paused = ledger.job(1, prefix="paused")
    with ledger.database.write() as session:
        pause_job(session, paused, actor="ada")
    ledger.job(2)
    ledger.claim(ledger.worker())
    assert ring_again(ledger.database, after_seconds=0) == 0


def test_a_job_that_is_rolled_back_takes_its_doorbell_with_it(ledger: Ledger) -> None:
    ledger.model()
    (sha256,) = ledger.recordings(1)
    owner = ledger.user().id
    with pytest.raises(ZeroDivisionError), ledger.database.write() as session:
        items = [NewItem(key="a", recording=sha256)]
        create_job(session, owner_id=owner, spec=InferSpec(model="default"), items=items)
        raise ZeroDivisionError
    with ledger.database.read() as session:
        assert session.scalars(select(Outbox)).all() == []
