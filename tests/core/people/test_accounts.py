"""Sign-in links work once, tokens until they are revoked, and neither is kept in the clear."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select, update

from core.errors import InvalidRequest, NotAllowed
from core.ledger.database import now
from core.ledger.tables import Secret, User
from core.people.accounts import (
    Role,
    create_sign_in_link,
    create_user,
    ensure_admin,
    issue_token,
    redeem_sign_in_link,
    user_of_token,
)
from tests.factories import Ledger


def link_of(ledger: Ledger) -> str:
    with ledger.database.write() as session:
        return create_sign_in_link(session, ensure_admin(session), "http://here/").removeprefix(
            "http://here/sign-in/"
        )


def test_a_link_signs_in_once(ledger: Ledger) -> None:
    plain = link_of(ledger)
    with ledger.database.write() as session:
        assert redeem_sign_in_link(session, plain).role == Role.ADMIN
    with ledger.database.write() as session, pytest.raises(NotAllowed, match="used before"):
        redeem_sign_in_link(session, plain)


def test_an_old_or_unknown_link_does_not_sign_in(ledger: Ledger) -> None:
    plain = link_of(ledger)
    with ledger.database.write() as session:
        session.execute(update(Secret).values(expires_at=now(session) - timedelta(seconds=1)))
    for wrong in (plain, "nonsense", ""):
        with ledger.database.write() as session, pytest.raises(NotAllowed):
            redeem_sign_in_link(session, wrong)


def test_a_token_is_its_users_until_another_of_that_name_is_issued(ledger: Ledger) -> None:
    user = ledger.user()
    with ledger.database.write() as session:
        first = issue_token(session, user, "shell")
        second = issue_token(session, user, "shell")
    with ledger.database.read() as session:
        assert user_of_token(session, first) is None
        found = user_of_token(session, second)
        assert found is not None and found.id == user.id


def test_a_link_is_no_token_and_a_disabled_user_has_neither(ledger: Ledger) -> None:
    user = ledger.user()
    with ledger.database.write() as session:
        token = issue_token(session, user, "shell")
        link = create_sign_in_link(session, user, "http://here").rsplit("/", 1)[-1]
        assert user_of_token(session, link) is None
        session.execute(update(User).values(disabled_at=user.created_at))
    with ledger.database.write() as session:
        assert user_of_token(session, token) is None
        with pytest.raises(NotAllowed):
            redeem_sign_in_link(session, link)


def test_no_secret_is_kept_in_the_clear(ledger: Ledger) -> None:
    plain = link_of(ledger)
    with ledger.database.write() as session:
        token = issue_token(session, ensure_admin(session), "shell")
    with ledger.database.read() as session:
        kept = " ".join(str(vars(secret)) for secret in session.scalars(select(Secret)))
    assert plain not in kept and token not in kept


def test_there_is_one_first_admin_and_names_are_unique(ledger: Ledger) -> None:
    with ledger.database.write() as session:
        assert ensure_admin(session).id == ensure_admin(session).id
        with pytest.raises(InvalidRequest, match="already"):
            create_user(session, "admin", Role.VIEWER)
