"""Who may look after the service: operators and admins act, viewers look at workers and queues."""

from __future__ import annotations

from core.accounts import Role
from core.errors import NotAllowed
from core.tables import User

_OPERATORS = frozenset({Role.OPERATOR.value, Role.ADMIN.value})


def may_operate(user: User) -> bool:
    return user.role in _OPERATORS


def require_watcher(user: User) -> None:
    if user.role == Role.SUBMITTER.value:
        raise NotAllowed("Only viewers, operators and admins look at workers and queues.")


def require_operating(user: User) -> None:
    if not may_operate(user):
        raise NotAllowed("Only operators and admins look after workers, storage and health.")


def may_retain(user: User) -> bool:
    return user.role == Role.ADMIN.value


def require_retaining(user: User) -> None:
    if not may_retain(user):
        raise NotAllowed("Only admins say how long things are kept.")
