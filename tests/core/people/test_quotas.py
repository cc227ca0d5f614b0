"""What anybody may take of what all share."""

from __future__ import annotations

import io
import threading
from datetime import timedelta
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import update

from core.config import Settings
from core.errors import InvalidRequest, InvalidSettings, QuotaExceeded
from core.incoming.recordings import take_in
from core.incoming.uploads import begin
from core.jobs import cancel_job, create_job, retry_job
from core.ledger.database import now
from core.ledger.tables import Job, Recording, User
from core.people.accounts import Role
from core.people.quotas import Limit, enforce, give_quotas, limits_of, refusal_of, role_quotas, uses_of
from core.specs import InferSpec, NewItem
from core.states import ItemState, JobState
from core.store import Store
from tests.core.schedules.scheduling_place import SchedulingPlace
from tests.factories import Ledger, could_not


def limit(ledger: Ledger, name: str = "ada", **quotas: int | None) -> None:
    with ledger.database.write() as session:
        give_quotas(session, session.get_one(User, ledger.user(name).id), quotas)


def used(ledger: Ledger, of: Limit, name: str = "ada") -> int | None:
    with ledger.database.read() as session:
        uses = uses_of(session, session.get_one(User, ledger.user(name).id))
    return next(use.used for use in uses if use.limit is of)


def refused(ledger: Ledger, count: int, prefix: str = "") -> QuotaExceeded:
    with pytest.raises(QuotaExceeded) as caught:
        ledger.job(count, prefix=prefix)
    return caught.value


def test_recordings_that_wait_are_limited_and_make_room_as_they_end(ledger: Ledger) -> None:
    limit(ledger, items_at_once=5)
    job = ledger.job(4)
    why = refused(ledger, 2, "b")
    assert (why.limit, why.most, why.used, why.wanted) == ("items_at_once", 5, 4, 2)
    assert "2 more do not fit" in why.message
    assert ledger.job(1, prefix="c")
    worker = ledger.worker()
    ledger.publish(ledger.claim(worker, size=4))
    assert ledger.get(job).state is JobState.COMPLETED
    assert used(ledger, Limit.ITEMS_AT_ONCE) == 1
    assert ledger.job(4, prefix="d")
    assert "Send fewer" in refused(ledger, 6, "e").message


def test_a_job_that_is_refused_leaves_nothing_behind(ledger: Ledger) -> None:
    limit(ledger, items_at_once=1)
    refused(ledger, 2)
    limit(ledger)
    with ledger.database.read() as session:
        assert session.query(Job).count() == 0


def test_jobs_of_any_kind_are_limited_and_nobody_elses_count(ledger: Ledger) -> None:
    ledger.training(owner="ada")
    ledger.job(1, owner="grace")
    limit(ledger, jobs_at_once=2)
    first = ledger.job(1)
    why = refused(ledger, 1, "b")
    assert (why.limit, why.used, why.most) == ("jobs_at_once", 2, 2)
    with ledger.database.write() as session:
        cancel_job(session, first, actor="ada")
    assert ledger.job(1, prefix="b")


def test_a_day_lasts_from_when_a_job_was_made_and_what_was_cancelled_does_not_count(ledger: Ledger) -> None:
    limit(ledger, items_a_day=10)
    old, cancelled = ledger.job(6), ledger.job(4, prefix="b")
    with ledger.database.write() as session:
        cancel_job(session, cancelled, actor="ada")
        made_at = now(session) - timedelta(hours=20)
        session.execute(update(Job).where(Job.id == old).values(created_at=made_at))
    why = refused(ledger, 5, "c")
    assert (why.used, why.wanted) == (6, 5)
    assert why.frees_at is not None
    assert abs(why.frees_at - (made_at + timedelta(hours=24))) < timedelta(seconds=1)
    assert f"{why.frees_at:%H:%M} UTC" in why.message
    assert refused(ledger, 11, "c").frees_at is None
    with ledger.database.write() as session:
        session.execute(
            update(Job).where(Job.id == old).values(created_at=made_at - timedelta(hours=4, minutes=1))
        )
    assert ledger.job(10, prefix="c")


def test_bytes_are_counted_once_for_each_content_and_free_what_was_deleted(
    ledger: Ledger, store: Store
) -> None:
    limit(ledger, stored_bytes=250)
    ada = ledger.user().id

    def send(content: bytes) -> Recording:
        return take_in(ledger.database, store, io.BytesIO(content), owner_id=ada, max_bytes=1000)

    first = send(b"a" * 100)
    send(b"a" * 100)
    send(b"b" * 100)
    assert used(ledger, Limit.STORED_BYTES) == 200
    with pytest.raises(QuotaExceeded) as caught:
        send(b"c" * 100)
    assert (caught.value.limit, caught.value.used, caught.value.wanted) == ("stored_bytes", 200, 100)
    assert len(list(store.keys())) == 2
    with pytest.raises(QuotaExceeded):
        begin(ledger.database, store, owner_id=ada, name="c", size_bytes=100, fingerprint="c", most=1000)
    with ledger.database.write() as session:
        session.execute(
            update(Recording).where(Recording.sha256 == first.sha256).values(purged_at=now(session))
        )
    send(b"c" * 100)
    with pytest.raises(QuotaExceeded):
        send(b"a" * 100)


def test_what_came_while_nobody_counted_is_counted_when_a_limit_is_given(
    ledger: Ledger, store: Store
) -> None:
    ada = ledger.user().id
    take_in(ledger.database, store, io.BytesIO(b"a" * 100), owner_id=ada, max_bytes=1000)
    limit(ledger, stored_bytes=150)
    assert used(ledger, Limit.STORED_BYTES) == 100
    with pytest.raises(QuotaExceeded):
        take_in(ledger.database, store, io.BytesIO(b"b" * 51), owner_id=ada, max_bytes=1000)


def test_two_jobs_at_once_cannot_both_take_the_last_room(ledger: Ledger) -> None:
    limit(ledger, items_at_once=3)
    ledger.model()
    hashes = ledger.recordings(2)
    items = [NewItem(key=one, recording=one) for one in hashes]
    owner, ends = ledger.user().id, list[str]()

    def second() -> None:
        try:
            with ledger.database.write() as session:
                create_job(session, owner_id=owner, spec=InferSpec(model="default"), items=items)
            ends.append("made")
        except QuotaExceeded as error:
            ends.append(error.limit)

    rival = threading.Thread(target=second)
    with ledger.database.write() as session:
        create_job(session, owner_id=owner, spec=InferSpec(model="default"), items=items)
        rival.start()
        rival.join(0.5)
        assert rival.is_alive(), "it did not wait for its turn"
    rival.join(60)
    assert ends == ["items_at_once"]


def test_two_recordings_at_once_cannot_both_take_the_last_room(ledger: Ledger, store: Store) -> None:
    limit(ledger, stored_bytes=1500)
    ada, ends = ledger.user().id, list[str]()
    ready = threading.Barrier(4)

    def send(letter: bytes) -> None:
        ready.wait(60)
        try:
            take_in(ledger.database, store, io.BytesIO(letter * 1000), owner_id=ada, max_bytes=10_000)
            ends.append("taken")
        except QuotaExceeded:
            ends.append("refused")

    threads = [threading.Thread(target=send, args=(letter,)) for letter in (b"a", b"b", b"c", b"d")]
    for one in threads:
        one.start()
    for one in threads:
        one.join(60)
    assert sorted(ends) == ["refused", "refused", "refused", "taken"]
    assert used(ledger, Limit.STORED_BYTES) == 1000


def test_a_retry_of_ones_own_takes_room_and_one_by_an_operator_always_may(ledger: Ledger) -> None:
    job = ledger.job(3)
    chunk = ledger.claim(ledger.worker())
    ledger.publish(chunk, [could_not(chunk, number) for number in range(3)])
    limit(ledger, items_at_once=2)
    ada, grace = ledger.user().id, ledger.user("grace", Role.OPERATOR).id
    with pytest.raises(QuotaExceeded), ledger.database.write() as session:
        retry_job(session, job, actor=ada)
    assert {item.state for item in ledger.items(job)} == {ItemState.FAILED}
    with ledger.database.write() as session:
        assert retry_job(session, job, actor=grace) == 3


def test_roles_come_with_limits_and_an_admin_gives_others(ledger: Ledger, settings: Settings) -> None:
    enforce(
        ledger.database,
        settings.model_copy(
            update={"quota_jobs_at_once": "1", "quota_items_at_once": "submitter=2, operator = 5"}
        ),
    )
    with ledger.database.read() as session:
        assert limits_of(session, ledger.user()) == {Limit.JOBS_AT_ONCE: 1, Limit.ITEMS_AT_ONCE: 2}
        assert limits_of(session, ledger.user("olga", Role.OPERATOR))[Limit.ITEMS_AT_ONCE] == 5
        assert Limit.ITEMS_AT_ONCE not in limits_of(session, ledger.user("root", Role.ADMIN))
    assert refused(ledger, 3).limit == "items_at_once"
    limit(ledger, items_at_once=None, jobs_at_once=2)
    assert ledger.job(3)
    with ledger.database.read() as session:
        ada = session.get_one(User, ledger.user().id)
        uses = {use.limit: use for use in uses_of(session, ada)}
        assert (uses[Limit.JOBS_AT_ONCE].most, uses[Limit.JOBS_AT_ONCE].used) == (2, 1)
        assert uses[Limit.JOBS_AT_ONCE].is_own
        assert uses[Limit.ITEMS_AT_ONCE].most is None
        assert refusal_of(session, ada, items=1_000_000) is None


def test_a_run_of_a_schedule_that_goes_over_a_limit_of_its_owner_fails_with_the_sentence(
    ledger: Ledger, store: Store, settings: Settings
) -> None:
    place = SchedulingPlace(ledger, store, settings)
    place.schedule()
    with ledger.database.write() as session:
        give_quotas(session, session.get_one(User, place.user.id), {"jobs_at_once": 0})
    place.round(hours=1)
    assert place.states() == ["failed"]
    assert "0 are the most for you" in place.runs()[0].reason
    assert place.jobs("prepare") == []


@pytest.mark.parametrize("given", ["many", "submitter=", "boss=3", "-1", "3;4", "submitter=1.5", "9" * 30])
def test_settings_that_cannot_be_read_are_named(given: str) -> None:
    with pytest.raises(InvalidSettings, match="VOICESKETCH_QUOTA_ITEMS_A_DAY"):
        role_quotas(bare_settings(quota_items_a_day=given))


def test_amounts_may_have_units_and_a_role_may_differ_from_all_others() -> None:
    found = role_quotas(bare_settings(quota_stored_bytes="20GB, admin = 3 tb", quota_jobs_at_once=" 7 "))
    assert found["viewer"] == found["operator"] == {Limit.STORED_BYTES: 20 * 10**9, Limit.JOBS_AT_ONCE: 7}
    assert found["admin"][Limit.STORED_BYTES] == 3 * 10**12


def bare_settings(**more: str) -> Settings:
    """For what looks at the settings alone."""
    given: dict[str, Any] = dict(more)
    return Settings(database_url="sqlite://", broker_url=SecretStr("redis://127.0.0.1:1"), **given)


def test_limits_that_are_none_are_refused(ledger: Ledger) -> None:
    for name, most in (("items", 3), ("items_a_day", -1), ("items_a_day", 2**60)):
        with pytest.raises(InvalidRequest):
            limit(ledger, "ada", **{name: most})
    with ledger.database.read() as session:
        assert session.get_one(User, ledger.user().id).quotas is None
