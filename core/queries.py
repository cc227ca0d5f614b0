"""Reading the ledger, for pages, the API and files. Nothing here changes a row.

Every look-up of something that belongs to somebody takes the viewer: what they may not see does not exist for them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, Literal

from sqlalchemy import ColumnElement, Select, case, func, select, true
from sqlalchemy.orm import Session, aliased

from core.errors import NotFound
from core.ledger.tables import (
    Alias,
    Artifact,
    Drawing,
    Item,
    Job,
    ModelVersion,
    Recording,
    RecordingOwner,
    Transition,
    User,
)
from core.models.registry import input_of
from core.people.accounts import Role
from core.specs import PROGRAM_KINDS
from core.states import JOB_FINAL, ItemState, JobState

_SEES_ALL = {Role.OPERATOR.value, Role.ADMIN.value, Role.VIEWER.value}
_ROWS_AT_ONCE = 1000


@dataclass(frozen=True)
class ItemRow:
    """An item with what it led to, as pages and files show it."""

    id: int
    position: int
    key: str
    name: str
    state: ItemState
    error_code: str | None
    error_message: str | None
    attempts: int
    seconds: float | None
    finished_at: datetime | None
    recording_sha256: str | None
    media_type: str | None
    size_bytes: int | None
    duration_seconds: float | None
    recording_key: str | None
    face_key: str | None
    face_sha256: str | None
    face_bytes: int | None
    spectrogram_key: str | None
    spectrogram_sha256: str | None
    spectrogram_bytes: int | None
    thumbnail_key: str | None
    thumbnail_sha256: str | None
    thumbnail_bytes: int | None


def visible_to(viewer: User) -> ColumnElement[bool]:
    """The jobs a user may see: everybody's for viewers, operators and admins, their own for submitters."""
    return true() if viewer.role in _SEES_ALL else Job.owner_id == viewer.id


def list_jobs(
    session: Session,
    viewer: User,
    *,
    limit: int = 50,
    before: str | None = None,
    states: Collection[JobState] = (),
) -> Sequence[Job]:
    """Newest first. Ids sort by time, so the id of the last job of a page is the cursor (`before`) of the next."""
    query = select(Job).where(visible_to(viewer)).order_by(Job.id.desc()).limit(limit)
    if before is not None:
        query = query.where(Job.id < before)
    if states:
        query = query.where(Job.state.in_(states))
    return session.scalars(query).all()


def get_job(session: Session, viewer: User, job_id: str) -> Job:
    """A job that the viewer may see.

    Raises:
        NotFound: there is none, or it is somebody else's; the answer does not tell which.
    """
    job = session.scalar(select(Job).where(Job.id == job_id, visible_to(viewer)))
    if job is None:
        raise NotFound("There is no such job.")
    return job


def load_companions(session: Session, jobs: Sequence[Job]) -> list[object]:
    """The owners and models of many jobs at once; while the answer is held, asking for one of them costs no query."""
    owners = {job.owner_id for job in jobs}
    models = {job.model_version_id for job in jobs if job.model_version_id}
    return [
        *session.scalars(select(User).where(User.id.in_(owners))),
        *session.scalars(select(ModelVersion).where(ModelVersion.id.in_(models))),
    ]


def model_label(session: Session, model_version_id: str | None) -> str:
    model = session.get(ModelVersion, model_version_id) if model_version_id else None
    return model.label if model else ""


def owner_name(session: Session, user_id: str) -> str:
    user = session.get(User, user_id)
    return user.name if user else ""


def job_input(session: Session, job: Job) -> Literal["voice", "face"] | None:
    """What a job draws faces from; None where it draws none."""
    if job.kind != "infer":
        return None
    model = session.get(ModelVersion, job.model_version_id) if job.model_version_id else None
    return input_of(model) if model is not None else None


def list_models(session: Session) -> list[tuple[ModelVersion, list[str]]]:
    """Every model version that was not deleted, newest first, with the aliases that point at it."""
    aliases: dict[str, list[str]] = {}
    for alias in session.scalars(select(Alias).order_by(Alias.name)):
        aliases.setdefault(alias.model_version_id, []).append(alias.name)
    models = session.scalars(
        select(ModelVersion)
        .where(ModelVersion.deleted_at.is_(None))
        .order_by(ModelVersion.created_at.desc(), ModelVersion.id.desc())
    )
    return [(model, aliases.get(model.id, [])) for model in models]


def aliases_of(session: Session, model_version_id: str) -> list[str]:
    return [
        *session.scalars(
            select(Alias.name).where(Alias.model_version_id == model_version_id).order_by(Alias.name)
        )
    ]


def items_page(
    session: Session,
    job_id: str,
    *,
    after: int = -1,
    limit: int = 60,
    states: Collection[ItemState] = (),
    only: ColumnElement[bool] | None = None,
) -> list[ItemRow]:
    """Items in the order they were submitted, from the position after `after`.

    Args:
        only: a further condition on `Item`, such as `core.narrowing` makes.
    """
    query = (
        _item_rows().where(Item.job_id == job_id, Item.position > after).order_by(Item.position).limit(limit)
    )
    if states:
        query = query.where(Item.state.in_(states))
    if only is not None:
        query = query.where(only)
    return [ItemRow(*row) for row in session.execute(query)]


def items_by_id(session: Session, job_id: str, item_ids: Sequence[int]) -> list[ItemRow]:
    """Those of the given items that belong to the job, in its order."""
    query = _item_rows().where(Item.job_id == job_id, Item.id.in_(item_ids)).order_by(Item.position)
    return [ItemRow(*row) for row in session.execute(query)]


def changed_items(
    session: Session, job_id: str, since: int, *, until: int, limit: int
) -> tuple[list[ItemRow], bool]:
    """Items that moved after one transition and up to another; and whether there were more than `limit` moves.

    With more, the newest are answered: whoever fell that far behind reads the items again.
    """
    moves = session.scalars(
        select(Transition.item_id)
        .where(
            Transition.job_id == job_id,
            Transition.id > since,
            Transition.id <= until,
            Transition.item_id.is_not(None),
        )
        .order_by(Transition.id.desc())
        .limit(limit + 1)
    ).all()
    ids = list({item_id for item_id in moves[:limit] if item_id is not None})
    return items_by_id(session, job_id, ids), len(moves) > limit


def item_names(session: Session, job_id: str, *, after: int = -1, until: int) -> Iterator[tuple[int, str]]:
    """Positions and file names of a job's items between two positions, in order: the names of faces rest on them."""
    query = (
        select(Item.position, Item.name)
        .where(Item.job_id == job_id, Item.position > after, Item.position <= until)
        .order_by(Item.position)
    )
    for row in session.execute(query.execution_options(yield_per=_ROWS_AT_ONCE)):
        yield row.position, row.name


def get_item(session: Session, job_id: str, item_id: int) -> ItemRow:
    """One item of a job that the caller already looked up for its viewer.

    Raises:
        NotFound: the job has no such item.
    """
    row = session.execute(_item_rows().where(Item.job_id == job_id, Item.id == item_id)).one_or_none()
    if row is None:
        raise NotFound("There is no such item in this job.")
    return ItemRow(*row)


def errors_by_code(session: Session, job_id: str) -> list[tuple[str, int, str]]:
    """For each error code of a job: how many items, and the message of one of them. Most frequent first."""
    # Counted in an index that holds failures only; then one message is read for each code, and not all of them.
    count = func.count().label("count")
    rows = session.execute(
        select(Item.error_code, count)
        .where(Item.job_id == job_id, Item.state == ItemState.FAILED, Item.error_code.is_not(None))
        .group_by(Item.error_code)
        .order_by(count.desc(), Item.error_code)
    ).all()
    return [(code or "", number, _message_of(session, job_id, code)) for code, number in rows]


def _message_of(session: Session, job_id: str, code: str | None) -> str:
    query = select(Item.error_message).where(
        Item.job_id == job_id, Item.error_code == code, Item.state == ItemState.FAILED
    )
    return session.scalar(query.order_by(Item.position).limit(1)) or ""


def last_transition_id(session: Session, job_id: str) -> int:
    """Grows with every move of the job or one of its items: pages redraw when it does."""
    return session.scalar(select(func.max(Transition.id)).where(Transition.job_id == job_id)) or 0


def find_recording(session: Session, owner_id: str, sha256: str) -> Recording | None:
    """A recording that this very user has sent before."""
    return session.scalar(
        select(Recording)
        .join(RecordingOwner, RecordingOwner.sha256 == Recording.sha256)
        .where(Recording.sha256 == sha256, RecordingOwner.owner_id == owner_id, Recording.purged_at.is_(None))
    )


def eta_seconds(job: Job) -> float | None:
    """Seconds until the job's last item, from its moving rate; None while nothing can be said.

    Programs tell theirs by themselves (`TrainingProgress`): one or two steps have no rate.
    """
    if job.kind in PROGRAM_KINDS:
        return None
    left = job.pending + job.leased
    if job.state in JOB_FINAL or job.state is JobState.PAUSED or not job.rate_per_second:
        return None
    return left / job.rate_per_second


@cache  # putting it together takes longer than asking it
def _item_rows() -> Select[*tuple[Any, ...]]:
    face, spectrogram, thumbnail = aliased(Artifact), aliased(Artifact), aliased(Artifact)
    return (
        select(
            Item.id,
            Item.position,
            Item.key,
            Item.name,
            Item.state,
            Item.error_code,
            Item.error_message,
            Item.attempts,
            Item.seconds,
            Item.finished_at,
            Item.recording_sha256,
            Recording.media_type,
            Recording.size_bytes,
            Recording.duration_seconds,
            case((Recording.purged_at.is_(None), Recording.object_key)),
            face.object_key,
            face.sha256,
            face.size_bytes,
            spectrogram.object_key,
            spectrogram.sha256,
            spectrogram.size_bytes,
            thumbnail.object_key,
            thumbnail.sha256,
            thumbnail.size_bytes,
        )
        .outerjoin(Recording, Recording.sha256 == Item.recording_sha256)
        .outerjoin(Drawing, Drawing.id == Item.drawing_id)
        .outerjoin(face, face.id == Drawing.face_id)
        .outerjoin(spectrogram, spectrogram.id == Drawing.spectrogram_id)
        .outerjoin(thumbnail, thumbnail.id == Drawing.thumbnail_id)
    )
