"""Requests that meet: the same asked for twice at once, and things deleted while somebody is at them."""

from __future__ import annotations

import itertools
import os
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from sqlalchemy import func, select

from core.claims.leases import release
from core.errors import LeaseLost
from core.incoming.uploads import PART_BYTES
from core.keeping.erasure import erase
from core.keeping.purging import purge
from core.keeping.rules import Kept, set_rule
from core.ledger.tables import Artifact, Item, Job, Recording
from core.ledger.upload_tables import Upload
from core.people.accounts import Role
from core.states import ITEM_FINAL, ItemState, JobState
from dashboard.api import events
from tests.dashboard.conftest import SOUND, Place, Script
from tests.dashboard.test_uploads import begin

PATIENCE_SECONDS = 120.0
LARGE = b"fLaC" + os.urandom(PART_BYTES + 100)


def at_once(*steps: Callable[[], Any]) -> list[Any]:
    """What came of each, all of them begun at the same moment; an exception counts as what came of it."""
    together = threading.Barrier(len(steps))
    outcomes: list[Any] = [None] * len(steps)

    def take(number: int, step: Callable[[], Any]) -> None:
        together.wait(PATIENCE_SECONDS)
        try:
            outcomes[number] = step()
        except Exception as error:  # noqa: BLE001 - told by whoever asked
            outcomes[number] = error

    threads = [threading.Thread(target=take, args=pair) for pair in enumerate(steps)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_SECONDS)
    assert not any(thread.is_alive() for thread in threads)
    return outcomes


def statuses(outcomes: Sequence[Any]) -> list[Any]:
    return [getattr(one, "status_code", one) for one in outcomes]


def check_ledger(place: Place) -> None:
    """Counters are as many as items, each in one state; nothing is left in nobody's hands, and no object is lost."""
    with place.database.read() as session:
        for job in session.scalars(select(Job)):
            counted = Counter(
                dict(
                    session.execute(
                        select(Item.state, func.count()).where(Item.job_id == job.id).group_by(Item.state)
                    ).all()
                )
            )
            assert {state: getattr(job, state.value) for state in ItemState} == {
                state: counted[state] for state in ItemState
            }, job.id
            assert job.total == counted.total()
            if job.finished_at is not None:
                assert set(counted) <= ITEM_FINAL, (job.state, counted)
        keys = {*session.scalars(select(Artifact.object_key))}
        keys |= {*session.scalars(select(Recording.object_key).where(Recording.purged_at.is_(None)))}
    assert {*place.store.keys("jobs/"), *place.store.keys("recordings/")} == keys


def sent_in_parts(ada: Script) -> str:
    path = f"/api/v1/uploads/{begin(ada, LARGE)['id']}"
    assert ada.ask("PUT", f"{path}/parts/1", data=LARGE[:PART_BYTES]).status_code == 200
    assert ada.ask("PUT", f"{path}/parts/2", data=LARGE[PART_BYTES:]).status_code == 200
    return path


def test_an_upload_completed_many_times_at_once_is_one_recording(sqlite_place: Place) -> None:
    ada = sqlite_place.script()
    path = sent_in_parts(ada)
    answers = at_once(*[lambda: ada.post(f"{path}/complete")] * 4)
    assert statuses(answers) == [200] * 4, [one.text for one in answers]
    assert len({one.json["recording"] for one in answers}) == 1
    assert list(sqlite_place.store.keys("uploads/")) == []
    check_ledger(sqlite_place)


def test_an_upload_whose_owner_has_everything_deleted_ends_with_a_status(place: Place) -> None:
    ada = place.script()
    path = sent_in_parts(ada)
    wanted = {"dry_run": False, "confirm": "ada"}
    answers = at_once(lambda: ada.post(f"{path}/complete"), lambda: ada.post("/api/v1/erasure", json=wanted))
    assert statuses(answers)[0] in (200, 404, 409, 503), answers
    assert statuses(answers)[1] == 200
    with place.database.read() as session:
        assert session.scalar(select(func.count()).select_from(Upload)) == 0
    assert ada.post("/api/v1/erasure", json=wanted).json["finished"]
    assert list(place.store.keys()) == []


def test_parts_that_are_never_made_whole_take_room_as_well_and_uploads_at_once_do_not_share_the_last(
    place: Place,
) -> None:
    ada, root = place.script(), place.script("root", Role.ADMIN)
    root.ask("PUT", f"/api/v1/users/{place.users['ada'].id}/quota", json={"stored_bytes": 10})
    wanted = [{"name": "a", "size_bytes": 6, "fingerprint": f"{number}"} for number in range(4)]
    answers = at_once(*[(lambda body=body: ada.post("/api/v1/uploads", json=body)) for body in wanted])
    assert sorted(statuses(answers)) == [201, 403, 403, 403]
    refused = next(one for one in answers if one.status_code == 403).json["quota"]
    assert (refused["most"], refused["used"], refused["wanted"]) == (10, 6, 6)
    (begun,) = [one.json["id"] for one in answers if one.status_code == 201]
    assert ada.ask("DELETE", f"/api/v1/uploads/{begun}").status_code == 200
    assert ada.post("/api/v1/uploads", json=wanted[0]).status_code == 201


def test_deleting_ones_data_twice_at_once_and_beside_a_purge_deletes_it_once(place: Place) -> None:
    ada, root = place.script(), place.user("root", Role.ADMIN)
    for _ in range(3):
        ada.job(3)
    place.worker().run()
    with place.database.write() as session:
        set_rule(session, kind=Kept.FACES, scope="", days=1, actor=root.id)
        for job in session.scalars(select(Job)):
            assert job.finished_at is not None
            job.finished_at = job.finished_at.replace(year=2020)
    wanted = {"dry_run": False, "confirm": "ada"}
    answers = at_once(
        *[lambda: ada.post("/api/v1/erasure", json=wanted)] * 3,
        lambda: purge(place.database, place.store, actor="ticker"),
    )
    assert statuses(answers)[:3] == [200] * 3, answers
    assert not isinstance(answers[3], Exception), answers[3]
    assert ada.post("/api/v1/erasure", json=wanted).json["finished"]
    assert list(place.store.keys()) == []


def test_what_a_worker_drew_of_a_job_that_is_gone_for_good_is_lost_and_breaks_nothing(place: Place) -> None:
    ada = place.script()
    job_id = ada.job(2)
    worker = place.worker()
    chunk = worker.claim()
    assert chunk is not None
    # Taken away, as from a worker that was cut off; then cancelled, and deleted with all that it was made of.
    with place.database.write() as session:
        release(session, chunk.attempt_id, reason="its lease ran out")
    assert ada.post(f"/api/v1/jobs/{job_id}/cancel").json["state"] == "cancelled"
    user = place.user("ada")
    assert erase(place.database, place.store, user.id, actor=user.id).finished
    with pytest.raises(LeaseLost):
        worker.finish(chunk)
    with place.database.write() as session, pytest.raises(LeaseLost):
        release(session, chunk.attempt_id, reason="the worker stops")
    assert ada.get(f"/api/v1/jobs/{job_id}").status_code == 404


def test_who_watches_a_job_that_is_deleted_sees_the_stream_end(
    sqlite_place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "POLL_SECONDS", 0.01)
    ada = sqlite_place.script()
    stream = ada.get(f"/api/v1/jobs/{ada.job(1)}/events", buffered=False)
    pieces = stream.iter_encoded()
    assert b"retry" in next(pieces)
    user = sqlite_place.user("ada")
    erase(sqlite_place.database, sqlite_place.store, user.id, actor=user.id)
    assert not [piece for piece in itertools.islice(pieces, 1000) if b"running" in piece]
    stream.close()


@pytest.mark.soak
def test_whatever_is_pressed_at_once_every_item_ends_once(place: Place) -> None:
    ada = place.script()
    jobs = [ada.job(6) for _ in range(4)]
    workers = [place.worker(refuse=lambda item: ("no_speech", "Silence.") if "1" in item.name else None)]
    workers += [place.worker()]
    answers: list[Any] = []
    for _ in range(20):
        presses = [
            (lambda job_id=job_id, what=what: ada.post(f"/api/v1/jobs/{job_id}/{what}", json={}))
            for job_id, what in zip(
                jobs * 2,
                ("cancel", "pause", "retry", "resume", "pause", "resume", "cancel", "retry"),
                strict=True,
            )
        ]
        answers += at_once(*presses, *(lambda worker=worker: worker.run(size=2) for worker in workers))
    assert not [one for one in answers if isinstance(one, Exception)], answers
    assert {one for one in statuses(answers) if one.__class__ is int and one >= 100} <= {200, 409}
    for job_id in jobs:
        ada.post(f"/api/v1/jobs/{job_id}/resume")
    workers[1].run()
    check_ledger(place)
    with place.database.read() as session:
        states = set(session.scalars(select(Job.state)))
    assert states <= {JobState.COMPLETED, JobState.COMPLETED_WITH_ERRORS, JobState.CANCELLED}


def test_a_retry_pressed_many_times_at_once_is_one(place: Place) -> None:
    ada = place.script()
    job_id = ada.job(4)
    place.worker(refuse=lambda item: ("no_speech", "Silence.")).run()
    answers = at_once(*[lambda: ada.post(f"/api/v1/jobs/{job_id}/retry", json={})] * 5)
    assert sorted(statuses(answers)) == [200, 409, 409, 409, 409]
    check_ledger(place)
    place.worker().run()
    assert ada.get(f"/api/v1/jobs/{job_id}").json["state"] == "completed"
    check_ledger(place)


def test_one_key_of_many_requests_at_once_makes_one_job(place: Place) -> None:
    ada = place.script()
    items = [{"key": "a", "recording": ada.send(SOUND)}]
    once = {"Idempotency-Key": "once"}
    answers = at_once(*[lambda: ada.submit(items, headers=once)] * 6)
    assert statuses(answers) == [201] * 6
    assert len({one.json["id"] for one in answers}) == 1
    earlier = answers[0].json["id"]
    source = {"json": {"source": {"job": earlier}}, "headers": {"Idempotency-Key": "twice"}}
    answers = at_once(*[lambda: ada.post("/api/v1/jobs", **source)] * 4)
    assert len({one.json["id"] for one in answers}) == 1, statuses(answers)
    check_ledger(place)
