"""Passwords fit or they do not; who tries too often waits, and the answer never tells who exists."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Literal

import pytest
from argon2 import PasswordHasher
from sqlalchemy import update

from core.errors import InvalidRequest, NotAllowed
from core.ledger.database import now
from core.ledger.tables import User
from core.people.passwords import TRIES, set_password, sign_in_by_password
from tests.factories import Ledger

GOOD = "four plain words here"


@pytest.fixture
def ada(ledger: Ledger) -> User:
    user = ledger.user()
    set_password(ledger.database, user, GOOD)
    return user


def refusal(ledger: Ledger, name: str, password: str) -> str:
    with pytest.raises(NotAllowed) as refused:
        sign_in_by_password(ledger.database, name, password)
    return refused.value.message


def test_the_right_password_signs_in_and_is_kept_as_argon2id(ledger: Ledger, ada: User) -> None:
    user = sign_in_by_password(ledger.database, ada.name, GOOD)
    assert user.id == ada.id
    assert (user.password_hash or "").startswith("$argon2id$")
    assert GOOD not in (user.password_hash or "")
    assert user.failed_sign_ins == 0


def test_unknown_wrong_and_disabled_get_the_same_words(ledger: Ledger, ada: User) -> None:
    words = refusal(ledger, ada.name, "wrong " + GOOD)
    assert refusal(ledger, "nobody", GOOD) == words
    assert refusal(ledger, "", "") == words
    with ledger.database.write() as session:
        session.execute(update(User).values(disabled_at=now(session)))
    assert refusal(ledger, ada.name, GOOD) == words


def test_a_hash_is_looked_at_even_for_nobody(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    from core.people import passwords

    looked: list[str] = []
    real = passwords._fits

    def fits(stored: str, given: str) -> bool:
        looked.append(stored)
        return real(stored, given)

    monkeypatch.setattr(passwords, "_fits", fits)
    refusal(ledger, "nobody", GOOD)
    assert len(looked) == 1 and looked[0].startswith("$argon2id$")


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_however_many_sign_in_at_once_few_hashes_are_computed_at_a_time(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    from core.people import passwords

    passwords._decoy()
    at_work, most, lock = 0, 0, threading.Lock()

    class Slow(PasswordHasher):
        def verify(self, hash: str | bytes, password: str | bytes) -> Literal[True]:
            nonlocal at_work, most
            with lock:
                at_work += 1
                most = max(most, at_work)
            time.sleep(0.02)  # so that they meet
            with lock:
                at_work -= 1
            return True

    monkeypatch.setattr(passwords, "_hasher", Slow(time_cost=1, memory_cost=8, parallelism=1))
    with ThreadPoolExecutor(16) as people:
        tries = [people.submit(sign_in_by_password, ledger.database, "nobody", GOOD) for _ in range(32)]
    assert all(isinstance(one.exception(), NotAllowed) for one in tries)
    assert 1 < most <= 4


def test_after_many_wrong_tries_even_the_right_one_waits(ledger: Ledger, ada: User) -> None:
    for _ in range(TRIES):
        words = refusal(ledger, ada.name, "wrong")
    assert refusal(ledger, ada.name, GOOD) == words
    with ledger.database.write() as session:
        found = session.get_one(User, ada.id)
        assert found.locked_until is not None
        assert timedelta(0) < found.locked_until - now(session) <= timedelta(minutes=1)
        found.locked_until = now(session) - timedelta(seconds=1)
    # One more wrong try locks for longer; after that has passed, the right one puts all to rights.
    refusal(ledger, ada.name, "wrong")
    with ledger.database.write() as session:
        found = session.get_one(User, ada.id)
        assert found.locked_until is not None
        assert found.locked_until - now(session) > timedelta(minutes=1)
        found.locked_until = now(session) - timedelta(seconds=1)
    assert sign_in_by_password(ledger.database, ada.name, GOOD).locked_until is None


@pytest.mark.parametrize("password", ["short", "x" * 257, "aaaaaaaaaaaaaaa", "a long name of somebody"])
def test_a_password_that_is_easily_guessed_is_not_taken(ledger: Ledger, password: str) -> None:
    user = ledger.user()
    user.name = "A long name of somebody"
    with pytest.raises(InvalidRequest):
        set_password(ledger.database, user, password)
