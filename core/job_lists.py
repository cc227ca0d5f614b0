"""The list of jobs as people and scripts narrow and sort it, a page at a time.

A page begins behind the last job of the one before, so that the tenth page costs what the first one does, and nothing
is shown twice while new jobs come in.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, get_args

from sqlalchemy import ColumnElement, String, and_, cast, false, or_, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from core.errors import InvalidRequest
from core.ledger.tables import Job, ModelVersion, User
from core.queries import load_companions, visible_to
from core.states import JobState

Sort = Literal["newest", "oldest", "name", "largest", "priority"]
SORTS: tuple[Sort, ...] = get_args(Sort)

# The column each order goes by, ties being broken by the id, and whether it goes down.
_ORDER: dict[Sort, tuple[InstrumentedAttribute[Any] | None, bool]] = {
    "newest": (None, True),
    "oldest": (None, False),
    "name": (Job.name, False),
    "largest": (Job.total, True),
    "priority": (Job.priority, True),
}


@dataclass(frozen=True)
class JobFilter:
    """What a list is narrowed to; what is empty narrows nothing.

    Attributes:
        search: part of a name, of a label, or the beginning of an id.
        owner: the name of a user.
        model: a model's name, or `name@version`.
        label: `name=value` of a label.
        since: made at that time or later.
    """

    search: str = ""
    states: tuple[JobState, ...] = ()
    kinds: tuple[str, ...] = ()
    owner: str = ""
    model: str = ""
    label: str = ""
    since: datetime | None = None
    sort: Sort = "newest"


@dataclass(frozen=True)
class JobListPage:
    jobs: Sequence[Job]
    next: str | None  # the cursor of the next page
    companions: Sequence[
        object
    ] = ()  # their owners and models: held, so that none is read again for each job


def find_jobs(
    session: Session, viewer: User, which: JobFilter, *, limit: int = 50, after: str | None = None
) -> JobListPage:
    """A page of the jobs that the viewer may see.

    Raises:
        InvalidRequest: the cursor is of another order, or none at all.
    """
    column, down = _ORDER[which.sort]
    query = select(Job).where(visible_to(viewer), *_conditions(session, which))
    if after:
        query = query.where(_behind(column, down, after))
    keys = [key for key in (column, Job.id) if key is not None]
    found = session.scalars(
        query.order_by(*(key.desc() if down else key.asc() for key in keys)).limit(limit + 1)
    )
    jobs = found.all()
    shown = jobs[:limit]
    following = _cursor(column, shown[-1]) if len(jobs) > limit else None
    return JobListPage(shown, following, load_companions(session, shown))


def parse_since(given: str) -> datetime | None:
    """A date or a time in ISO 8601; without a zone it is UTC.

    Raises:
        InvalidRequest: it is neither.
    """
    if not given.strip():
        return None
    try:
        at = datetime.fromisoformat(given.strip())
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise InvalidRequest(f"{given!r} is no date: write it as 2026-01-31.") from error


def _conditions(session: Session, which: JobFilter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if words := _storable(which.search):
        # JSON is kept with everything beyond ASCII escaped.
        in_json = json.dumps(words)[1:-1]
        conditions.append(
            or_(
                Job.name.icontains(words, autoescape=True),
                Job.id.startswith(words, autoescape=True),
                cast(Job.labels, String).icontains(in_json, autoescape=True),
            )
        )
    if which.states:
        conditions.append(Job.state.in_(which.states))
    if which.kinds:
        conditions.append(Job.kind.in_(which.kinds))
    if which.owner:
        owner = select(User.id).where(User.name == _storable(which.owner)).scalar_subquery()
        conditions.append(Job.owner_id == owner)
    if which.model:
        name, _, version = _storable(which.model).partition("@")
        models = select(ModelVersion.id).where(ModelVersion.name == name)
        if version:
            models = (
                models.where(ModelVersion.version == int(version))
                if _is_number(version)
                else models.where(false())
            )
        conditions.append(Job.model_version_id.in_(session.scalars(models).all()))
    if which.label:
        name, _, value = _storable(which.label).partition("=")
        conditions.append(Job.labels[name.strip()].as_string() == value.strip())
    if which.since is not None:
        conditions.append(Job.created_at >= which.since)
    return conditions


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 10


def _storable(text: str) -> str:
    return text.strip().replace("\0", "").encode("utf-8", "replace").decode("utf-8")


def _behind(column: InstrumentedAttribute[Any] | None, down: bool, cursor: str) -> ColumnElement[bool]:
    def past(key: InstrumentedAttribute[Any], value: object) -> ColumnElement[bool]:
        return key < value if down else key > value

    if column is None:
        return past(Job.id, _storable(cursor))
    try:
        value, job_id = json.loads(base64.urlsafe_b64decode(cursor.encode()))
        fits = isinstance(job_id, str) and type(value) is (str if column is Job.name else int)
    except (binascii.Error, ValueError, TypeError) as error:
        raise InvalidRequest("This cursor is of another list: begin with the first page again.") from error
    if not fits or (isinstance(value, int) and abs(value) >= 2**31):
        raise InvalidRequest("This cursor is of another list: begin with the first page again.")
    value = _storable(value) if isinstance(value, str) else value
    return or_(past(column, value), and_(column == value, past(Job.id, _storable(job_id))))


def _cursor(column: InstrumentedAttribute[Any] | None, job: Job) -> str:
    if column is None:
        return job.id
    value = [getattr(job, column.key), job.id]
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode()
