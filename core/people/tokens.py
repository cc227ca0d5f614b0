"""Tokens for scripts: what they may do, when they were last used, and their end.

A token's scope is a ceiling, never a right: what its user may not do, it may not do either.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session

from core.errors import InvalidRequest, NotAllowed, NotFound
from core.ledger.database import Database, now
from core.ledger.tables import Secret, User
from core.people.accounts import Role, issue_token, secret_hash
from core.people.audit import record

USE_KEPT_TO = timedelta(minutes=1)
LONGEST_NAME = 120
MOST_TOKENS = 100


class Scope(StrEnum):
    """Each holds the ones before it."""

    READ = "read"
    SUBMIT = "submit"
    OPERATE = "operate"
    ADMIN = "admin"


_LEVELS = {scope.value: level for level, scope in enumerate(Scope)}
# The role that may do just what a scope names.
_ROLES = {
    role.value: level for level, role in enumerate((Role.VIEWER, Role.SUBMITTER, Role.OPERATOR, Role.ADMIN))
}


class Holder(NamedTuple):
    """Whose a token is, and how far it reaches."""

    user: User
    token: Secret


def scope_level(scopes: Sequence[str] | None) -> int:
    """How far scopes reach, 0 (read) to 3 (admin); a token without any has no ceiling. Unknown words reach nowhere."""
    if scopes is None:
        return _LEVELS[Scope.ADMIN]
    return max((_LEVELS.get(scope, 0) for scope in scopes), default=0)


def role_level(role: str) -> int:
    """How far a role reaches, 0 (viewer) to 3 (admin)."""
    return _ROLES.get(role, 0)


def scope_name(scopes: Sequence[str] | None, role: str) -> str:
    """The farthest scope that a token has in fact."""
    return list(Scope)[min(scope_level(scopes), role_level(role))].value


def holder_of_token(session: Session, plain: str) -> Holder | None:
    """None for a token that is unknown, revoked, too old, or of a disabled user."""
    found = session.execute(
        select(User, Secret)
        .join(Secret, Secret.user_id == User.id)
        .where(
            Secret.hash == secret_hash(plain),
            Secret.kind == "token",
            Secret.revoked_at.is_(None),
            or_(Secret.expires_at.is_(None), Secret.expires_at > now(session)),
            User.disabled_at.is_(None),
        )
    ).one_or_none()
    return Holder(*found) if found is not None else None


def note_use(database: Database, token: Secret, at: datetime) -> None:
    """Keeps when a token was last used, to the minute: one write a minute at most, and none that is waited for."""
    if token.used_at is not None and at - token.used_at < USE_KEPT_TO:
        return
    with database.write_soon() as session:
        session.execute(
            update(Secret)
            .where(Secret.id == token.id, or_(Secret.used_at.is_(None), Secret.used_at <= at - USE_KEPT_TO))
            .values(used_at=at.replace(second=0, microsecond=0))
        )


def list_tokens(session: Session, user: User) -> Sequence[Secret]:
    """The tokens of a user that still work, newest first."""
    return session.scalars(
        select(Secret)
        .where(
            Secret.user_id == user.id,
            Secret.kind == "token",
            Secret.revoked_at.is_(None),
            or_(Secret.expires_at.is_(None), Secret.expires_at > now(session)),
        )
        .order_by(Secret.created_at.desc(), Secret.id)
        .limit(2 * MOST_TOKENS)
    ).all()


def new_token(
    session: Session,
    user: User,
    name: str,
    scope: Scope,
    *,
    ceiling: int | None = None,
    days: int | None = None,
    until: datetime | None = None,
) -> tuple[str, Secret]:
    """Issues a token; its text is shown this once.

    Args:
        ceiling: how far the asker reaches; by default as far as the user.
        days: after which it ends; by default never, or with the asker.
        until: when the asker ends, where it is a token itself.

    Raises:
        InvalidRequest: the name is empty, too long or taken, or there are too many.
        NotAllowed: the scope is more than the user (or the asker) may do, or it would outlive the asker.
    """
    name = name.strip()
    if not name or len(name) > LONGEST_NAME:
        raise InvalidRequest(f"A token needs a name of 1 to {LONGEST_NAME} characters.")
    reach = role_level(user.role) if ceiling is None else min(ceiling, role_level(user.role))
    if _LEVELS[scope] > reach:
        raise NotAllowed(f"You cannot give a token the scope {scope.value}: you may not do that yourself.")
    there = list_tokens(session, user)
    if any(token.name == name for token in there):
        raise InvalidRequest(f"There is a token {name!r} already. Revoke it first, or take another name.")
    if len(there) >= MOST_TOKENS:
        raise InvalidRequest(f"There are {MOST_TOKENS} tokens already. Revoke those that nobody uses.")
    plain = issue_token(session, user, name)
    token = session.scalars(select(Secret).where(Secret.hash == secret_hash(plain))).one()
    token.scopes = [scope.value]
    token.expires_at = until if days is None else token.created_at + timedelta(days=days)
    if until is not None and token.expires_at is not None and token.expires_at > until:
        raise NotAllowed("A token that ends makes none that lasts longer than itself. Sign in to make it.")
    session.flush()
    record(
        session,
        actor=user.id,
        action="token.new",
        subject=token.id,
        details={"name": name, "scope": scope.value},
    )
    return plain, token


def revoke_token(session: Session, user: User, token_id: str) -> Secret:
    """Ends one of a user's own tokens.

    Raises:
        NotFound: there is none of that id that still works.
    """
    token: Secret | None = session.scalar(
        update(Secret)
        .where(
            Secret.id == token_id,
            Secret.user_id == user.id,
            Secret.kind == "token",
            Secret.revoked_at.is_(None),
        )
        .values(revoked_at=now(session))
        .returning(Secret)
    )
    if token is None:
        raise NotFound(f"There is no token {token_id!r} of yours.")
    record(session, actor=user.id, action="token.revoke", subject=token.id, details={"name": token.name})
    return token
