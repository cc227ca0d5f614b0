"""What each role may do, in one place. What somebody may not even see is decided by `core/queries.py`.

A token may have a narrower scope than its user's role; the lower of the two counts, and it counts here, for all.
"""

from __future__ import annotations

from core.errors import NotAllowed
from core.ledger.tables import Job, User
from core.people.accounts import Role
from core.people.tokens import role_level
from dashboard.identity import ceiling

_SUBMITTER, _OPERATOR, _ADMIN = (
    role_level(role.value) for role in (Role.SUBMITTER, Role.OPERATOR, Role.ADMIN)
)


def reach(user: User) -> int:
    """How far a user reaches in this request: 0 (viewer, read) to 3 (admin)."""
    return min(role_level(user.role), ceiling())


def may_submit(user: User) -> bool:
    return reach(user) >= _SUBMITTER


def may_change(user: User, job: Job) -> bool:
    """Submitters change what is theirs, operators and admins everything, viewers nothing."""
    return reach(user) >= _OPERATOR or (may_submit(user) and job.owner_id == user.id)


def may_operate(user: User) -> bool:
    return reach(user) >= _OPERATOR


def require_submitter(user: User) -> None:
    if not may_submit(user):
        raise _refusal(
            user, _SUBMITTER, "Your role is viewer: you may look at everything here and change nothing."
        )


def require_change(user: User, job: Job) -> None:
    if not may_change(user, job):
        raise _refusal(user, _OPERATOR, "You may look at this job, but not change it.")


def require_priority(user: User, priority: int) -> None:
    if priority > 0 and not may_operate(user):
        raise _refusal(
            user,
            _OPERATOR,
            "Only operators put a job before those of others: leave the priority at 0 or below.",
        )


def may_change_models(user: User) -> bool:
    return may_operate(user)


def require_operator(user: User) -> None:
    if not may_operate(user):
        raise _refusal(user, _OPERATOR, "Only operators and admins change which models there are.")


def require_trainer(user: User) -> None:
    if not may_operate(user):
        raise _refusal(user, _OPERATOR, "Only operators and admins train, evaluate and analyse models.")


def require_audit(user: User) -> None:
    if not may_operate(user):
        raise _refusal(user, _OPERATOR, "Only operators and admins look at who changed what.")


def may_schedule(user: User) -> bool:
    return may_operate(user)


def require_scheduler(user: User) -> None:
    if not may_operate(user):
        raise _refusal(user, _OPERATOR, "Only operators and admins say what is retrained, and when.")


def require_operations(user: User) -> None:
    """For steering workers, and looking at storage and health."""
    if not may_operate(user):
        raise _refusal(user, _OPERATOR, "Only operators and admins look after workers, storage and health.")


def require_watcher(user: User) -> None:
    """For looking at workers and queues, which show jobs of everybody."""
    if user.role == Role.SUBMITTER.value:
        raise NotAllowed("Only viewers, operators and admins look at workers and queues.")


def may_administer(user: User) -> bool:
    return reach(user) >= _ADMIN


def require_admin(user: User) -> None:
    """For looking after other people, and for what deletes their things."""
    if not may_administer(user):
        raise _refusal(user, _ADMIN, "Only admins do this.")


def _refusal(user: User, needed: int, why: str) -> NotAllowed:
    if role_level(user.role) >= needed > ceiling():
        return NotAllowed("Your role would allow this, but the scope of this token does not.")
    return NotAllowed(why)
