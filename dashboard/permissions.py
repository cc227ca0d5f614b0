"""What each role may do, in one place. What somebody may not even see is decided by `core/queries.py`."""

from __future__ import annotations

from core.accounts import Role
from core.errors import NotAllowed
from core.tables import Job, User

_OPERATORS = frozenset({Role.OPERATOR.value, Role.ADMIN.value})


def may_submit(user: User) -> bool:
    return user.role != Role.VIEWER.value


def may_change(user: User, job: Job) -> bool:
    """Submitters change what is theirs, operators and admins everything, viewers nothing."""
    return user.role in _OPERATORS or (user.role == Role.SUBMITTER.value and job.owner_id == user.id)


def require_submitter(user: User) -> None:
    if not may_submit(user):
        raise NotAllowed("Your role is viewer: you may look at everything here and change nothing.")


def require_change(user: User, job: Job) -> None:
    if not may_change(user, job):
        raise NotAllowed("You may look at this job, but not change it.")


def require_priority(user: User, priority: int) -> None:
    if priority > 0 and user.role not in _OPERATORS:
        raise NotAllowed("Only operators put a job before those of others: leave the priority at 0 or below.")


def may_change_models(user: User) -> bool:
    return user.role in _OPERATORS


def require_operator(user: User) -> None:
    if not may_change_models(user):
        raise NotAllowed("Only operators and admins change which models there are.")


def require_trainer(user: User) -> None:
    if not may_change_models(user):
        raise NotAllowed("Only operators and admins train, evaluate and analyse models.")


def require_audit(user: User) -> None:
    if user.role not in _OPERATORS:
        raise NotAllowed("Only operators and admins look at who changed what.")


def may_schedule(user: User) -> bool:
    return user.role in _OPERATORS


def require_scheduler(user: User) -> None:
    if not may_schedule(user):
        raise NotAllowed("Only operators and admins say what is retrained, and when.")
