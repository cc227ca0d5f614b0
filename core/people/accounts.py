"""Who people are: users, one-time sign-in links, and tokens for scripts. Only hashes of secrets are kept."""

from __future__ import annotations

import hashlib
import secrets
import unicodedata
from datetime import timedelta
from enum import StrEnum

from sqlalchemy import func, or_, select, update
from sqlalchemy.orm import Session

from core.errors import InvalidRequest, NotAllowed
from core.identifiers import new_id
from core.ledger.database import now
from core.ledger.tables import Secret, User

LINK_LIFE = timedelta(hours=1)
TOKEN_PREFIX = "vs_"  # noqa: S105 - lets scanners of leaked secrets know ours


class Role(StrEnum):
    VIEWER = "viewer"
    SUBMITTER = "submitter"
    OPERATOR = "operator"
    ADMIN = "admin"


def create_user(session: Session, name: str, role: Role) -> User:
    """Enters a user.

    Raises:
        InvalidRequest: the name is empty or taken.
    """
    if not name.strip() or len(name) > 120:
        raise InvalidRequest("A user needs a name of 1 to 120 characters.")
    if any(unicodedata.category(letter) == "Cc" for letter in name):
        raise InvalidRequest("The name of a user is one line, without tabs and other control characters.")
    if session.scalar(select(User.id).where(User.name == name)) is not None:
        raise InvalidRequest(f"There is already a user {name!r}.")
    user = User(id=new_id("user"), name=name, role=role.value, created_at=now(session))
    session.add(user)
    session.flush()
    return user


def ensure_admin(session: Session) -> User:
    """The first administrator, made at the first start."""
    admin = session.scalar(
        select(User)
        .where(User.role == Role.ADMIN.value, User.disabled_at.is_(None))
        .order_by(User.created_at)
        .limit(1)
    )
    return admin or create_user(session, "admin", Role.ADMIN)


def count_users_who_can_sign_in(session: Session) -> int:
    """How many have a password and are not disabled."""
    return (
        session.scalar(
            select(func.count())
            .select_from(User)
            .where(User.password_hash.is_not(None), User.disabled_at.is_(None))
        )
        or 0
    )


def create_sign_in_link(session: Session, user: User, public_url: str) -> str:
    """An address that signs its opener in, once, within the hour."""
    plain = secrets.token_urlsafe(32)
    at = now(session)
    _keep(session, plain, kind="link", user=user, name="sign-in link").expires_at = at + LINK_LIFE
    return f"{public_url.rstrip('/')}/sign-in/{plain}"


def redeem_sign_in_link(session: Session, plain: str) -> User:
    """Signs in, at most once for each link.

    Raises:
        NotAllowed: the link is unknown, used, or too old.
    """
    at = now(session)
    used = session.execute(
        update(Secret)
        .where(
            Secret.hash == secret_hash(plain),
            Secret.kind == "link",
            Secret.used_at.is_(None),
            Secret.revoked_at.is_(None),
            Secret.expires_at > at,
        )
        .values(used_at=at)
        .returning(Secret.user_id)
    ).scalar_one_or_none()
    user = session.get(User, used) if used else None
    if user is None or user.disabled_at is not None:
        raise NotAllowed(
            "This sign-in link was used before or is too old. Ask for a new one: voicesketch users link"
        )
    return user


def issue_token(session: Session, user: User, name: str) -> str:
    """A token for scripts; shown once, kept as its hash. An earlier token of that name is revoked."""
    session.execute(
        update(Secret)
        .where(
            Secret.user_id == user.id,
            Secret.kind == "token",
            Secret.name == name,
            Secret.revoked_at.is_(None),
        )
        .values(revoked_at=now(session))
    )
    plain = TOKEN_PREFIX + secrets.token_urlsafe(32)
    _keep(session, plain, kind="token", user=user, name=name)
    return plain


def user_of_token(session: Session, plain: str) -> User | None:
    """Whose token this is; None for one that is unknown, revoked or of a disabled user."""
    return session.scalar(
        select(User)
        .join(Secret, Secret.user_id == User.id)
        .where(
            Secret.hash == secret_hash(plain),
            Secret.kind == "token",
            Secret.revoked_at.is_(None),
            or_(Secret.expires_at.is_(None), Secret.expires_at > now(session)),
            User.disabled_at.is_(None),
        )
    )


def _keep(session: Session, plain: str, *, kind: str, user: User, name: str) -> Secret:
    secret = Secret(
        id=new_id("secret"),
        kind=kind,
        hash=secret_hash(plain),
        user_id=user.id,
        name=name,
        created_at=now(session),
    )
    session.add(secret)
    session.flush()
    return secret


def secret_hash(plain: str) -> str:
    """What is kept of a link or token."""
    # 256 random bits cannot be guessed, so a plain hash is enough and keeps the lookup one indexed read.
    return hashlib.sha256(plain.encode()).hexdigest()
