"""What was made with somebody's recordings and stays when they are deleted: datasets of others, and trained models.

Which recordings went into a dataset version stands in its plan, in the store; which dataset version a model was trained
on, in its row. Models that began with such a model, or have it as one of two halves, count as trained with them, too.
"""

from __future__ import annotations

import re
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.errors import NotFound
from core.ledger.database import Database
from core.ledger.tables import DatasetVersion, Job, ModelVersion, RecordingOwner
from core.models.files import PARTS
from core.objects import dataset_plan_key
from core.store import Store

_CONTENT = re.compile(rb'"([0-9a-f]{64})"')
_LONGEST = 66  # bytes of a hash in quotes
_LOOKED_UP_AT_ONCE = 1000


@dataclass(frozen=True)
class Use:
    """What recordings of somebody were used for.

    Attributes:
        datasets: dataset versions of others in which they are.
        models: model versions trained with them, directly or by what they began with; without deleted ones.
        complete: false where the time was over before all datasets were looked at.
    """

    datasets: list[str] = field(default_factory=list)
    models: list[str] = field(default_factory=list)
    complete: bool = True


def find_use(database: Database, store: Store, user_id: str, *, seconds: float) -> Use:
    """Looks through the plans of all datasets, the newest first, for recordings that somebody sent.

    Raises:
        StorageUnavailable: try again later.
    """
    until = time.monotonic() + seconds
    with database.read() as session:
        theirs = select(RecordingOwner.sha256).where(RecordingOwner.owner_id == user_id).limit(1)
        if session.scalar(theirs) is None:
            return Use()
        versions = session.scalars(select(DatasetVersion).order_by(DatasetVersion.created_at.desc())).all()
        plans = {
            version.id: str(session.get_one(Job, version.job_id).spec.get("plan_sha256", ""))
            for version in versions
        }
    known: dict[str, bool] = {}  # by plan: several versions may have one
    complete = True
    for plan in plans.values():
        if plan not in known:
            if time.monotonic() > until:
                complete = False
                break
            known[plan] = _holds_theirs(database, store, plan, user_id)
    found = [version for version in versions if known.get(plans[version.id])]
    with database.read() as session:
        models = _models_of(session, {version.id for version in found})
    others = sorted(version.label for version in found if version.owner_id != user_id)
    return Use(others, models, complete)


def _holds_theirs(database: Database, store: Store, plan_sha256: str, user_id: str) -> bool:
    try:
        for some in _contents(store, plan_sha256):
            with database.read() as session:
                mine = select(RecordingOwner.sha256).where(
                    RecordingOwner.owner_id == user_id, RecordingOwner.sha256.in_(some)
                )
                if session.scalar(mine.limit(1)) is not None:
                    return True
    except NotFound:
        return False  # prepared on a machine of its own, or tidied away
    return False


def _contents(store: Store, plan_sha256: str) -> Iterator[list[str]]:
    """The contents that a plan names, some at a time; a plan may be far larger than memory should hold."""
    if not plan_sha256:
        return
    rest, some = b"", list[str]()
    for piece in store.stream(dataset_plan_key(plan_sha256)):
        text, end = rest + piece, 0
        for match in _CONTENT.finditer(text):
            some.append(match[1].decode())
            end = match.end()
            if len(some) == _LOOKED_UP_AT_ONCE:
                yield some
                some = []
        rest = text[max(end, len(text) - _LONGEST) :]
    if some:
        yield some


def _models_of(session: Session, dataset_ids: Collection[str]) -> list[str]:
    """Labels of the models that were trained on one of these dataset versions, and of all that were made of those."""
    models = session.scalars(select(ModelVersion)).all()
    found = {model.id: model for model in models if model.dataset_version_id in dataset_ids}
    grown = bool(found)
    while grown:
        labels = {model.label for model in found.values()}
        more = {
            model.id: model
            for model in models
            if model.id not in found
            and (model.parent_id in found or any(str(model.config.get(part, "")) in labels for part in PARTS))
        }
        found |= more
        grown = bool(more)
    return sorted(model.label for model in found.values() if model.deleted_at is None)
