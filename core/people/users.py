"""What becomes of users: roles, disabling, links, and who is let in on the word of a sign-in service.

There is always an admin left who can put it right.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import chain, count

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from core.errors import Conflict, NotAllowed, NotFound
from core.ledger.database import now
from core.ledger.tables import User
from core.people.accounts import Role, create_sign_in_link, create_user
from core.people.audit import record
from core.people.quotas import give_quotas


def list_people(session: Session, *, limit: int = 100, after: str | None = None) -> Sequence[User]:
    """By name; the name of the last one of a page is the cursor (`after`) of the next."""
    query = select(User).order_by(User.name).limit(limit)
    if after is not None:
        query = query.where(User.name > after)
    return session.scalars(query).all()


def find_person(session: Session, user_id: str) -> User:
    """Raises:
    NotFound: there is no such user.
    """
    user = session.get(User, user_id)
    if user is None:
        raise NotFound(f"There is no user {user_id!r}.")
    return user


def add_person(session: Session, admin: User, name: str, role: Role, public_url: str) -> tuple[User, str]:
    """A new user, and the link by which they come in, once, within the hour."""
    user = create_user(session, name.strip(), role)
    link = create_sign_in_link(session, user, public_url)
    record(
        session,
        actor=admin.id,
        action="user.create",
        subject=user.id,
        details={"name": user.name, "role": role.value},
    )
    return user, link


def link_for(session: Session, admin: User, user_id: str, public_url: str) -> str:
    """A new sign-in link for somebody.

    Raises:
        Conflict: they are disabled.
    """
    user = find_person(session, user_id)
    if user.disabled_at is not None:
        raise Conflict(f"{user.name} is disabled. Enable them first.")
    record(session, actor=admin.id, action="user.link", subject=user.id, details={"name": user.name})
    return create_sign_in_link(session, user, public_url)


def change_role(session: Session, admin: User, user_id: str, role: Role) -> User:
    """Raises:
    Conflict: nobody would be admin any more.
    """
    user = _locked(session, user_id)
    if user.role == role.value:
        return user
    if user.role == Role.ADMIN.value:
        _keep_an_admin(session, user)
    record(
        session,
        actor=admin.id,
        action="user.role",
        subject=user.id,
        details={"name": user.name, "before": user.role, "after": role.value},
    )
    user.role = role.value
    session.flush()
    return user


def change_quotas(session: Session, admin: User, user_id: str, quotas: Mapping[str, int | None]) -> User:
    """Gives somebody limits of their own; see `core.people.quotas.give_quotas`.

    Raises:
        InvalidRequest: there is no such limit, or it is no number.
    """
    user = find_person(session, user_id)
    before = dict(user.quotas or {})
    give_quotas(session, user, quotas)
    after = dict(user.quotas or {})
    if after != before:
        record(
            session,
            actor=admin.id,
            action="user.quota",
            subject=user.id,
            details={"name": user.name, "before": before, "after": after},
        )
    return user


def set_disabled(session: Session, admin: User, user_id: str, disabled: bool) -> User:
    """Shuts somebody out at once, sessions and tokens alike, or lets them in again (by a new session).

    Raises:
        Conflict: nobody would be admin any more.
    """
    user = _locked(session, user_id)
    if (user.disabled_at is not None) == disabled:
        return user
    if disabled and user.role == Role.ADMIN.value:
        _keep_an_admin(session, user)
    at = now(session)
    user.disabled_at = at if disabled else None
    # A cookie from before must not come back to life with its user.
    user.sessions_from = at
    user.failed_sign_ins, user.locked_until = 0, None
    record(
        session,
        actor=admin.id,
        action="user.disable" if disabled else "user.enable",
        subject=user.id,
        details={"name": user.name},
    )
    session.flush()
    return user


def admit(
    session: Session, *, issuer: str, subject: str, names: Sequence[str], role: Role | None, keeps_role: bool
) -> User:
    """The user whom a sign-in service vouches for; a new one at their first sign-in.

    They are known by issuer and subject alone. A user who was made here is never taken for theirs because of an equal
    name: whoever may choose a name at the service could otherwise come in as anybody.

    Args:
        names: what a new user may be called, the best first.
        role: of a new user, and of one whom the service decides about; None lets neither in.
        keeps_role: whether admins decide about the roles of those who are known already.

    Raises:
        NotAllowed: they are disabled, or have no role here.
    """
    key = _subject_key(issuer, subject)
    user = session.scalar(select(User).where(User.oidc_subject == key))
    if (user is None or not keeps_role) and role is None:
        raise NotAllowed("You are known to the sign-in service, but have no role here. Ask an admin for one.")
    if user is None:
        assert role is not None
        return _admit_new(session, key, names, role)
    if user.disabled_at is not None:
        raise NotAllowed("Your account here is disabled. Ask an admin.")
    if not keeps_role and role is not None:
        with suppress(Conflict):  # the last admin stays one, whatever the service says
            change_role(session, user, user.id, role)
    return user


def _admit_new(session: Session, key: str, names: Sequence[str], role: Role) -> User:
    wanted = [name.strip()[:100] for name in names if name.strip()] or ["somebody"]
    more = (f"{wanted[0]} {number}" for number in count(2))
    free = (
        name
        for name in chain(wanted, more)
        if session.scalar(select(User.id).where(User.name == name)) is None
    )
    user = create_user(session, next(free), role)
    user.oidc_subject = key
    session.flush()
    record(
        session,
        actor=user.id,
        action="user.create",
        subject=user.id,
        details={"name": user.name, "role": role.value, "by": "sign-in service"},
    )
    return user


def _subject_key(issuer: str, subject: str) -> str:
    key = f"{issuer} {subject}"
    return key if len(key) <= 255 else "sha256 " + hashlib.sha256(key.encode()).hexdigest()


def _locked(session: Session, user_id: str) -> User:
    """The user, with all admins locked: two of them must not remove each other at the same moment."""
    session.execute(
        select(User.id).where(User.role == Role.ADMIN.value).order_by(User.id).with_for_update()
    ).all()
    user = find_person(session, user_id)
    session.refresh(user)
    return user


def _keep_an_admin(session: Session, leaving: User) -> None:
    others = session.scalar(
        select(func.count())
        .select_from(User)
        .where(User.role == Role.ADMIN.value, User.disabled_at.is_(None), User.id != leaving.id)
    )
    if not others:
        raise Conflict(f"{leaving.name} is the last admin. Make somebody else an admin first.")
