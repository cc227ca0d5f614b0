"""Passwords: kept as Argon2id hashes, tried a few times at most, and an answer that does not tell who exists.

A try is counted before the password is looked at and taken back when it was right, so that many tries at once
are counted like many in a row. Hashing happens outside of transactions: it takes long on purpose.
"""

from __future__ import annotations

import threading
from datetime import datetime, timedelta
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import or_, select, update

from core.errors import InvalidRequest, NotAllowed
from core.ledger.database import Database, now
from core.ledger.tables import User

SHORTEST = 10
LONGEST = 256
TRIES = 5
FIRST_LOCK = timedelta(minutes=1)
LONGEST_LOCK = timedelta(minutes=15)

_REFUSED = (
    "This name and password do not fit, or there were too many wrong tries: "
    "try again in a few minutes, or ask for a sign-in link."
)
_hasher = PasswordHasher()
# Each takes 64 MiB and several processors: from many addresses at once they would take all there is.
_hashing = threading.BoundedSemaphore(4)


def check_password(name: str, password: str) -> None:
    """Whether a password may be set.

    Raises:
        InvalidRequest: it is too short or too long, or says no more than the name does.
    """
    if not SHORTEST <= len(password) <= LONGEST:
        raise InvalidRequest(f"A password needs {SHORTEST} to {LONGEST} characters.")
    if len(set(password)) < 4 or password.strip().lower() == name.strip().lower():
        raise InvalidRequest("That password is too easily guessed; take a longer one, such as four words.")


def set_password(database: Database, user: User, password: str) -> datetime:
    """Gives a user a password and ends all sessions from before.

    Returns:
        The moment from which sessions count; a session that should go on must be renewed.

    Raises:
        InvalidRequest: as of `check_password`.
    """
    check_password(user.name, password)
    with _hashing:
        hashed = _hasher.hash(password)
    with database.write() as session:
        at = now(session)
        session.execute(
            update(User)
            .where(User.id == user.id)
            .values(password_hash=hashed, sessions_from=at, failed_sign_ins=0, locked_until=None)
        )
    return at


def end_sessions(database: Database, user: User) -> datetime:
    """Voids every session of a user, on whatever browser."""
    with database.write() as session:
        at = now(session)
        session.execute(update(User).where(User.id == user.id).values(sessions_from=at))
    return at


def sign_in_by_password(database: Database, name: str, password: str) -> User:
    """The user of this name, if the password is theirs.

    An unknown name, a user without a password, a disabled one and a locked one take as long as a wrong password
    and get the same words.

    Raises:
        NotAllowed: for any of these reasons.
    """
    user = _count_try(database, name)
    stored = user.password_hash if user is not None else None
    is_right = _fits(stored or _decoy(), password[:LONGEST]) and stored is not None
    if user is None or not is_right:
        raise NotAllowed(_REFUSED)
    fresh = None
    if _hasher.check_needs_rehash(stored or ""):
        with _hashing:
            fresh = _hasher.hash(password)
    with database.write() as session:
        # Only while that password is still theirs: it may have been changed while we were looking.
        done = session.execute(
            update(User)
            .where(User.id == user.id, User.password_hash == stored, User.disabled_at.is_(None))
            .values(failed_sign_ins=0, locked_until=None, password_hash=fresh or stored)
            .returning(User.id)
        ).scalar_one_or_none()
        if done is None:
            raise NotAllowed(_REFUSED)
        return session.get_one(User, done)


def is_password_of(database: Database, user: User, password: str) -> bool:
    """Whether somebody who is signed in knows their password; wrong tries count like those of signing in."""
    try:
        return sign_in_by_password(database, user.name, password).id == user.id
    except NotAllowed:
        return False


def _count_try(database: Database, name: str) -> User | None:
    """The user whose password may be tried now, with the try counted as a wrong one already."""
    with database.write() as session:
        at = now(session)
        user = session.scalar(
            select(User)
            .where(
                User.name == name,
                User.disabled_at.is_(None),
                User.password_hash.is_not(None),
                or_(User.locked_until.is_(None), User.locked_until <= at),
            )
            .with_for_update()
        )
        if user is not None:
            user.failed_sign_ins += 1
            if user.failed_sign_ins >= TRIES:
                user.locked_until = at + min(
                    FIRST_LOCK * 2 ** min(user.failed_sign_ins - TRIES, 10), LONGEST_LOCK
                )
        return user


def _fits(stored: str, password: str) -> bool:
    try:
        with _hashing:
            return _hasher.verify(stored, password)
    except (VerificationError, InvalidHashError):
        return False


@cache
def _decoy() -> str:
    """What the password of nobody is compared with, so that the answer takes as long."""
    return _hasher.hash("the password of nobody")
