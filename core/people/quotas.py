"""How much anybody may take of what all share: recordings waiting, recordings a day, jobs, and bytes stored.

Limits come with a role, by the settings, and an admin may give somebody others. They are looked at where a job is
entered and where a recording is taken in, in the very transaction that does so, so that two requests at once cannot
both take the last room. Whoever makes the database of a process says once what roles come with (`enforce`).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import func, select, text, update
from sqlalchemy.orm import Session

from core.config import PREFIX, Settings
from core.errors import InvalidRequest, InvalidSettings, QuotaExceeded
from core.ledger.database import Database, now
from core.ledger.tables import Job, Recording, RecordingOwner, User

ROLES = ("viewer", "submitter", "operator", "admin")
MOST = 2**53  # what JSON readers everywhere take for a whole number
DAY = timedelta(hours=24)
# Between two counts of somebody's bytes only what comes is added; what was deleted gives room after this long.
_COUNTED_AGAIN = timedelta(minutes=10)
_NAME = "quotas"
_UNITS = {"": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12}
_AMOUNT = re.compile(r"([0-9]{1,16})\s*((?:[kmgt]b)?)")
_LOCK_SPACE = 0x766F_7175


class Limit(StrEnum):
    ITEMS_AT_ONCE = "items_at_once"  # recordings waiting or at work
    ITEMS_A_DAY = "items_a_day"  # recordings in jobs of the last 24 hours, without what was cancelled
    JOBS_AT_ONCE = "jobs_at_once"  # jobs of any kind that have not ended
    STORED_BYTES = "stored_bytes"  # of recordings


OF_JOBS = (Limit.JOBS_AT_ONCE, Limit.ITEMS_AT_ONCE, Limit.ITEMS_A_DAY)
Limits = Mapping[Limit, int]


@dataclass(frozen=True)
class Use:
    """One limit of somebody, and how far it is used up.

    Attributes:
        most: None for no limit.
        used: None where there is no limit, and nothing was counted.
        is_own: an admin gave it to this user; otherwise it comes with the role.
    """

    limit: Limit
    most: int | None
    used: int | None
    is_own: bool

    @property
    def left(self) -> int | None:
        return None if self.most is None or self.used is None else max(0, self.most - self.used)


def role_quotas(settings: Settings) -> dict[str, dict[Limit, int]]:
    """The limits that each role comes with.

    Raises:
        InvalidSettings: naming the setting that cannot be read.
    """
    found: dict[str, dict[Limit, int]] = {role: {} for role in ROLES}
    for limit in Limit:
        given = str(getattr(settings, f"quota_{limit.value}")).strip()
        for part in filter(None, (one.strip() for one in given.split(","))):
            role, sign, number = part.rpartition("=")
            role = role.strip()
            try:
                most = read_amount(number)
            except ValueError:
                most = None
            if most is None or (sign and role not in ROLES):
                raise InvalidSettings(
                    f"{PREFIX}QUOTA_{limit.value.upper()} cannot be read at {part!r}: give a whole number for "
                    "everybody, or ROLE=NUMBER separated by commas."
                )
            for one in [role] if sign else ROLES:
                found[one][limit] = most
    return found


def read_amount(given: str) -> int:
    """A number as people write it: `500`, `20000`, or `50 GB`.

    Raises:
        ValueError: it is none, or larger than any limit can be.
    """
    found = _AMOUNT.fullmatch(given.strip().lower())
    if found is None or (amount := int(found[1]) * _UNITS[found[2]]) > MOST:
        raise ValueError(f"{given!r} is no amount")
    return amount


def enforce(database: Database, settings: Settings) -> None:
    """Lets every session of a database know what roles come with.

    Raises:
        InvalidSettings: see `role_quotas`.
    """
    database.info[_NAME] = role_quotas(settings)


def limits_of(session: Session, user: User) -> dict[Limit, int]:
    """The limits that hold for somebody; those that are missing do not exist."""
    limits = limits_of_role(session, user.role)
    for name, most in (user.quotas or {}).items():
        if name not in set(Limit):
            continue  # of a later version
        if most is None:
            limits.pop(Limit(name), None)
        else:
            limits[Limit(name)] = int(most)
    return limits


def limits_of_role(session: Session, role: str) -> dict[Limit, int]:
    """The limits that a role comes with."""
    of_roles: Mapping[str, Limits] = session.info.get(_NAME, {})
    return dict(of_roles.get(role, {}))


def uses_of(session: Session, user: User) -> list[Use]:
    """Every limit of somebody, with what is used up."""
    limits = limits_of(session, user)
    return [
        Use(
            limit,
            limits.get(limit),
            _used(session, user, limit) if limit in limits else None,
            limit.value in (user.quotas or {}),
        )
        for limit in Limit
    ]


def give_quotas(session: Session, user: User, quotas: Mapping[str, int | None]) -> None:
    """Gives somebody limits of their own, in place of those they had; what is not named comes with the role.

    Args:
        quotas: by the names of `Limit`; None for no limit.

    Raises:
        InvalidRequest: there is no such limit, or it is no number.
    """
    for name, most in quotas.items():
        if name not in set(Limit):
            raise InvalidRequest(f"There is no limit {name!r}. There are: {', '.join(Limit)}.")
        if most is not None and not 0 <= most <= MOST:
            raise InvalidRequest(f"The limit {name} is a whole number from 0, or none.")
    user.quotas = dict(sorted(quotas.items())) or None
    user.stored_bytes = user.stored_counted_at = None
    session.flush()


def require_room(
    session: Session, owner_id: str, *, items: int, looked_at: Collection[Limit] = OF_JOBS
) -> None:
    """Refuses a job of so many recordings that would go over a limit of its owner.

    To be called in the transaction that enters the job, before it does: whoever else makes one for the same owner
    waits until that transaction has ended.

    Raises:
        QuotaExceeded: it says which limit, how much is used, and when there is room.
    """
    user = session.get(User, owner_id)
    if user is None or not set(looked_at) & set(limits_of(session, user)):
        return
    take_turns(session, owner_id)
    refused = refusal_of(session, user, items=items, looked_at=looked_at)
    if refused is not None:
        raise refused


def refusal_of(
    session: Session, user: User, *, items: int, size: int = 0, looked_at: Collection[Limit] = OF_JOBS
) -> QuotaExceeded | None:
    """Why a job of so many recordings would be refused now; None where it would not.

    Args:
        size: bytes of those recordings that are still to be sent.
    """
    limits = limits_of(session, user)
    most = limits.get(Limit.STORED_BYTES)
    if size and most is not None and (used := _used(session, user, Limit.STORED_BYTES)) + size > most:
        return _refusal(session, user, Limit.STORED_BYTES, most, used, size)
    for limit in looked_at:
        wanted = 1 if limit is Limit.JOBS_AT_ONCE else items
        if limit in limits and wanted:
            used = _used(session, user, limit)
            if used + wanted > limits[limit]:
                return _refusal(session, user, limit, limits[limit], used, wanted)
    return None


def require_space(
    session: Session, owner_id: str, size: int, sha256: str | None = None, *, coming: int = 0
) -> None:
    """Refuses a recording that would go over what its owner may store; changes nothing.

    Args:
        sha256: of its content, once it is known; what is theirs already takes no more room.
        coming: bytes of others that are on their way; they count as stored.

    Raises:
        QuotaExceeded: it says how much is used.
    """
    user = session.get(User, owner_id)
    most = None if user is None else limits_of(session, user).get(Limit.STORED_BYTES)
    if user is None or most is None or (sha256 is not None and _is_theirs(session, owner_id, sha256)):
        return
    if _used(session, user, Limit.STORED_BYTES) + coming + size > most:
        used = _count_bytes(session, owner_id) + coming
        if used + size > most:
            raise _refusal(session, user, Limit.STORED_BYTES, most, used, size)


def take_space(session: Session, owner_id: str, size: int, sha256: str) -> None:
    """The same for the transaction that makes the recording its owner's, and counts it.

    Raises:
        QuotaExceeded: see `require_space`.
    """
    user = session.get(User, owner_id)
    if user is None or Limit.STORED_BYTES not in limits_of(session, user):
        return
    take_turns(session, owner_id)
    session.refresh(user)
    require_space(session, owner_id, size, sha256)
    if _is_theirs(session, owner_id, sha256):
        return
    counted: dict[str, Any]
    if _is_counted(session, user):
        counted = {"stored_bytes": User.stored_bytes + size}
    else:
        counted = {"stored_bytes": _count_bytes(session, owner_id) + size, "stored_counted_at": now(session)}
    session.execute(
        update(User).where(User.id == owner_id).values(counted),
        execution_options={"synchronize_session": False},
    )


def take_turns(session: Session, owner_id: str) -> None:
    """Keeps others who would take room for the same owner waiting until this transaction ends.

    Not by the user's row, which every claim of their jobs writes to. On SQLite there is one writer at a time anyway.
    """
    if session.get_bind().dialect.name == "postgresql":
        session.execute(
            text("SELECT pg_advisory_xact_lock(:space, hashtext(:owner))"),
            {"space": _LOCK_SPACE, "owner": owner_id},
        )


def _used(session: Session, user: User, limit: Limit) -> int:
    in_play = (Job.owner_id == user.id) & Job.finished_at.is_(None)
    match limit:
        case Limit.JOBS_AT_ONCE:
            query = select(func.count()).select_from(Job).where(in_play)
        case Limit.ITEMS_AT_ONCE:
            query = select(func.sum(Job.pending + Job.leased)).where(in_play, Job.kind == "infer")
        case Limit.ITEMS_A_DAY:
            query = select(func.sum(Job.total - Job.cancelled)).where(
                Job.owner_id == user.id, Job.kind == "infer", Job.created_at > now(session) - DAY
            )
        case Limit.STORED_BYTES:
            return (
                int(user.stored_bytes or 0) if _is_counted(session, user) else _count_bytes(session, user.id)
            )
    return int(session.scalar(query) or 0)


def _is_counted(session: Session, user: User) -> bool:
    at = user.stored_counted_at
    return user.stored_bytes is not None and at is not None and at > now(session) - _COUNTED_AGAIN


def _count_bytes(session: Session, owner_id: str) -> int:
    return int(
        session.scalar(
            select(func.sum(Recording.size_bytes))
            .join(RecordingOwner, RecordingOwner.sha256 == Recording.sha256)
            .where(RecordingOwner.owner_id == owner_id, Recording.purged_at.is_(None))
        )
        or 0
    )


def _is_theirs(session: Session, owner_id: str, sha256: str) -> bool:
    return (
        session.scalar(
            select(Recording.sha256)
            .join(RecordingOwner, RecordingOwner.sha256 == Recording.sha256)
            .where(
                Recording.sha256 == sha256, RecordingOwner.owner_id == owner_id, Recording.purged_at.is_(None)
            )
        )
        is not None
    )


def _refusal(session: Session, user: User, limit: Limit, most: int, used: int, wanted: int) -> QuotaExceeded:
    frees_at = None if wanted > most else _frees_at(session, user, limit, used + wanted - most)
    return QuotaExceeded(
        _in_words(limit, most, used, wanted, frees_at),
        limit=limit.value,
        most=most,
        used=used,
        wanted=wanted,
        frees_at=frees_at,
    )


def _in_words(limit: Limit, most: int, used: int, wanted: int, frees_at: datetime | None) -> str:
    # Each a whole sentence, so that pages can say it in another language.
    moment = f"{frees_at:%Y-%m-%d %H:%M} UTC" if frees_at else ""
    if limit is Limit.STORED_BYTES:
        return (
            f"{_mega(used)} MB of recordings are yours here, and {_mega(most)} MB are the most for you: "
            f"{_mega(wanted)} MB more do not fit. Delete some, or ask an admin for more."
        )
    if limit is Limit.JOBS_AT_ONCE:
        return (
            f"{used:,} of your jobs have not ended yet, and {most:,} are the most for you. "
            "Wait until one has ended, or cancel one."
        )
    at_once = limit is Limit.ITEMS_AT_ONCE
    if wanted > most and at_once:
        return (
            f"{wanted:,} recordings are more than the {most:,} that you may have waiting or at work. "
            "Send fewer at a time, or ask an admin for more."
        )
    if wanted > most:
        return (
            f"{wanted:,} recordings are more than the {most:,} that you may give to jobs within 24 hours. "
            "Send fewer at a time, or ask an admin for more."
        )
    if at_once and frees_at is None:
        return (
            f"{used:,} of your recordings wait or are at work, and {most:,} are the most for you: "
            f"{wanted:,} more do not fit. Wait until enough of them are drawn."
        )
    if at_once:
        return (
            f"{used:,} of your recordings wait or are at work, and {most:,} are the most for you: "
            f"{wanted:,} more fit from about {moment}."
        )
    return (
        f"{used:,} recordings were in your jobs of the last 24 hours, and {most:,} are the most for you: "
        f"{wanted:,} more fit from {moment}."
    )


def _frees_at(session: Session, user: User, limit: Limit, needed: int) -> datetime | None:
    """When so much more will be free, as far as that can be told."""
    match limit:
        case Limit.ITEMS_A_DAY:
            rows = session.execute(
                select(Job.created_at, Job.total - Job.cancelled)
                .where(Job.owner_id == user.id, Job.kind == "infer", Job.created_at > now(session) - DAY)
                .order_by(Job.created_at)
            )
            for created_at, count in rows:
                needed -= count
                if needed <= 0:
                    return created_at + DAY
        case Limit.ITEMS_AT_ONCE:
            rate = session.scalar(
                select(func.sum(Job.rate_per_second)).where(
                    Job.owner_id == user.id, Job.finished_at.is_(None), Job.leased > 0
                )
            )
            if rate:
                return now(session) + timedelta(seconds=min(needed / rate, 365 * 86400))
        case _:
            pass
    return None


def _mega(count: int) -> str:
    mega = count / 10**6
    return f"{mega:,.0f}" if mega >= 10 or not mega else f"{mega:,.2g}"
