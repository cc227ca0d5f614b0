"""Reading what datasets there are, for pages and the API. Whoever may see a job may see the datasets it made."""

from __future__ import annotations

import re
from collections.abc import Sequence

from sqlalchemy import ColumnElement, select, true
from sqlalchemy.orm import Session

from core.errors import NotFound
from core.ledger.tables import DatasetVersion, Job, User
from core.people.accounts import Role
from core.specs import PROGRAM_KINDS

_SEES_ALL = {Role.OPERATOR.value, Role.ADMIN.value, Role.VIEWER.value}
_VERSION = re.compile(r"^[1-9][0-9]{0,8}$", re.ASCII)


def datasets_visible_to(viewer: User) -> ColumnElement[bool]:
    """Everybody's for viewers, operators and admins, their own for submitters."""
    return true() if viewer.role in _SEES_ALL else DatasetVersion.owner_id == viewer.id


def list_datasets(
    session: Session, viewer: User, *, limit: int = 50, before: str | None = None
) -> Sequence[DatasetVersion]:
    """Newest first. Ids sort by time, so the id of the last one of a page is the cursor (`before`) of the next."""
    query = (
        select(DatasetVersion)
        .where(datasets_visible_to(viewer))
        .order_by(DatasetVersion.id.desc())
        .limit(limit)
    )
    if before is not None:
        query = query.where(DatasetVersion.id < before)
    return session.scalars(query).all()


def get_dataset(session: Session, viewer: User, label: str) -> DatasetVersion:
    """The version that `name@version` means, or the newest of a name.

    Raises:
        NotFound: there is none, or it is somebody else's; the answer does not tell which.
    """
    name, _, version = label.partition("@")
    query = select(DatasetVersion).where(DatasetVersion.name == name, datasets_visible_to(viewer))
    if version:
        query = query.where(DatasetVersion.version == (int(version) if _VERSION.match(version) else -1))
    found = session.scalar(query.order_by(DatasetVersion.version.desc()).limit(1))
    if found is None:
        raise NotFound(f"There is no dataset {label!r}.")
    return found


def dataset_of(session: Session, job: Job) -> DatasetVersion | None:
    """What a preparation ended with; None where it has not.

    A second job with the same inputs ends with the version that the first one made.
    """
    made = session.scalar(select(DatasetVersion).where(DatasetVersion.job_id == job.id))
    if made is not None or job.done + job.cached < job.total:
        return made
    versions = select(DatasetVersion, Job).join(Job, Job.id == DatasetVersion.job_id)
    versions = versions.where(DatasetVersion.name == job.spec["dataset"])
    for version, first in session.execute(versions.order_by(DatasetVersion.version.desc())):
        if first.spec["plan_sha256"] == job.spec["plan_sha256"]:
            return version
    return None


def dataset_label(session: Session, job: Job) -> str | None:
    """What a job prepares: a name, and once it is there a version; or what it reads. None for other jobs."""
    if job.kind in PROGRAM_KINDS:
        return str(job.spec["dataset"])
    if job.kind != "prepare":
        return None
    made = dataset_of(session, job)
    return made.label if made else str(job.spec["dataset"])
