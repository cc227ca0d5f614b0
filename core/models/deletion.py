"""Deleting model versions, and tidying away files that never became one. What is in use stays.

A deleted version keeps its row: old jobs and faces go on saying what drew them. Its files go, unless another version
is made of them as well. Children that began with its weights have their own, so being somebody's parent is no use.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.errors import Conflict, InvalidRequest, NotFound
from core.ledger.database import Database, now
from core.ledger.schedule_tables import Schedule
from core.ledger.tables import Alias, Job, ModelVersion
from core.models.files import CONFIG, PAIR, PARTS
from core.models.registry import hold_registry, is_version_number, resolve_model
from core.objects import dataset_plan_key, model_upload_key
from core.people.audit import record
from core.store import Store

UNREGISTERED_KEPT = timedelta(days=1)
# What names a model in a spec. `model` does in all but trainings, where it is the name of what is to be made.
_REFERENCES = frozenset(
    {"backbone", "encoder", "face_decoder", "face_encoder", "parent", "partner", "voice_encoder"}
)


@dataclass(frozen=True)
class Deletion:
    """What deleting a version does, or would do.

    Attributes:
        in_use: why it is refused; empty where it is not.
        files: names of its files whose content goes; `freed_bytes` is theirs together.
        shared: names of its files that stay, as other versions have them too.
    """

    label: str
    deleted: bool
    in_use: tuple[str, ...]
    files: tuple[str, ...]
    shared: tuple[str, ...]
    freed_bytes: int


def delete_model(
    database: Database,
    store: Store,
    label: str,
    *,
    actor: str,
    bundled: Path,
    reason: str = "",
    dry_run: bool = False,
) -> Deletion:
    """Deletes one version; deleting it again changes nothing.

    Args:
        label: `name@version`. A bare name or an alias could mean another version by the time it is carried out.
        bundled: folder of the model that every start registers.
        dry_run: change nothing, and tell what would happen.

    Raises:
        NotFound: there is no such version.
        Conflict: it is in use; every use is told.
    """
    plans = _encoders_of_plans(database, store)
    with database.write() as session:
        hold_registry(session)
        version = _find(session, label)
        if version.deleted_at is not None:
            return Deletion(version.label, True, (), (), (), 0)
        in_use = tuple(_uses(session, version, bundled, plans))
        kept = _keys_in_use(session, without=version)
        going = [file for file in version.files if file["key"] not in kept]
        found = Deletion(
            version.label,
            not dry_run,
            in_use,
            tuple(file["name"] for file in going),
            tuple(file["name"] for file in version.files if file["key"] in kept),
            sum({file["key"]: file["size_bytes"] for file in going}.values()),
        )
        if dry_run:
            return found
        if in_use:
            raise Conflict(f"{version.label} is in use: {'; '.join(in_use)}.")
        version.deleted_at = now(session)
        record(
            session,
            actor=actor,
            action="model.delete",
            subject=version.label,
            details={"sha256": version.sha256, "files": list(found.files), "reason": reason},
        )
    # The row first: should the store fail now, what is left there belongs to nobody and is tidied away later.
    for key in {file["key"] for file in going}:
        _remove_unless_used(database, store, key)
    return found


def remove_unregistered_files(
    database: Database, store: Store, *, older_than: timedelta = UNREGISTERED_KEPT
) -> int:
    """Removes files of models that no version is made of and that have waited too long; answers how many.

    Raises:
        StorageUnavailable: try again later; what was removed until then is gone.
    """
    limit = datetime.now(UTC) - older_than
    with database.read() as session:
        kept = _keys_in_use(session)
    waiting = [
        key for key, changed_at in store.ages(model_upload_key("")) if key not in kept and changed_at < limit
    ]
    return sum(_remove_unless_used(database, store, key, written_before=limit) for key in waiting)


def _remove_unless_used(
    database: Database, store: Store, key: str, *, written_before: datetime | None = None
) -> bool:
    # Held while the object goes, so that nobody registers it in between.
    with database.write() as session:
        hold_registry(session)
        if key in _keys_in_use(session):
            return False
        # Whoever registers the same content may have sent it anew since the files were listed. Taken away once more,
        # and once for each of its files, it would be gone as often as a registration tries.
        if written_before is not None and not _is_older(store, key, written_before):
            return False
        store.delete(key)
        return True


def _is_older(store: Store, key: str, limit: datetime) -> bool:
    return any(found == key and changed_at < limit for found, changed_at in store.ages(key))


def _find(session: Session, label: str) -> ModelVersion:
    name, at, number = label.partition("@")
    if not at or not is_version_number(number):
        raise InvalidRequest(f"Say which version is meant, as in {name or 'name'}@1.")
    version = session.scalar(
        select(ModelVersion).where(ModelVersion.name == name, ModelVersion.version == int(number))
    )
    if version is None:
        raise NotFound(f"There is no model {label!r}.")
    return version


def _keys_in_use(session: Session, without: ModelVersion | None = None) -> set[str]:
    return {
        file["key"]
        for version in _living(session)
        if without is None or version.id != without.id
        for file in version.files
    }


def _living(session: Session) -> Iterator[ModelVersion]:
    yield from session.scalars(select(ModelVersion).where(ModelVersion.deleted_at.is_(None)))


def _uses(session: Session, version: ModelVersion, bundled: Path, plans: dict[str, str]) -> Iterator[str]:
    for alias in session.scalars(
        select(Alias.name).where(Alias.model_version_id == version.id).order_by(Alias.name)
    ):
        yield f"the alias {alias} points at it"
    for other in _living(session):
        if _is_half_of(version, other):
            yield f"it is half of {other.label}"
    if _is_bundled(version, bundled):
        yield "it comes with the program, whose next start would bring it back"
    for job in session.scalars(select(Job).where(Job.finished_at.is_(None)).order_by(Job.id)):
        if version.id == job.model_version_id or (version.job_id is not None and version.job_id == job.id):
            yield f"job {job.id} is still at work with it"
        elif _names(session, version, [*_references(job.spec), plans.get(job.id, "")]):
            yield f"job {job.id}, which is not finished, names it"
    for schedule in session.scalars(
        select(Schedule).where(Schedule.removed_at.is_(None)).order_by(Schedule.name)
    ):
        if _names(session, version, _references(schedule.template)):
            yield f"the schedule {schedule.name} names it"


def _is_half_of(version: ModelVersion, other: ModelVersion) -> bool:
    if other.config.get("kind") != PAIR:
        return False
    own = {file["sha256"] for file in version.files if file["name"] == CONFIG}
    # A pair that was brought in may name versions of the place it comes from, so the content decides.
    return any(
        other.config.get(part) == version.label
        and own & {file["sha256"] for file in other.files if file["name"] == f"{part}/{CONFIG}"}
        for part in PARTS
    )


def _is_bundled(version: ModelVersion, bundled: Path) -> bool:
    try:
        return bool(json.loads((bundled / CONFIG).read_bytes()) == version.config)
    except (OSError, ValueError):
        return False


def _names(session: Session, version: ModelVersion, references: list[str]) -> bool:
    """Whether one of some references means a version now."""
    for reference in references:
        if not reference:
            continue
        try:
            if resolve_model(session, reference).id == version.id:
                return True
        except InvalidRequest:
            continue  # names nothing that is here
    return False


def _references(spec: dict[str, Any]) -> list[str]:
    found = []
    if spec.get("kind") in ("infer", "evaluate", "analyse") and isinstance(spec.get("model"), str):
        found.append(spec["model"])

    def look(value: Any) -> None:
        if isinstance(value, dict):
            for name, inner in value.items():
                if name in _REFERENCES and isinstance(inner, str):
                    found.append(inner)
                look(inner)
        elif isinstance(value, list):
            for inner in value:
                look(inner)

    look(spec)
    return found


def _encoders_of_plans(database: Database, store: Store) -> dict[str, str]:
    """The encoder of faces that each unfinished preparation uses, by job; it is written in the plan only."""
    with database.read() as session:
        jobs = session.scalars(select(Job).where(Job.finished_at.is_(None), Job.kind == "prepare")).all()
    found = {}
    for job in jobs:
        head = b""
        try:
            for piece in store.stream(dataset_plan_key(job.spec["plan_sha256"])):
                head += piece
                if b"\n" in head:
                    break
        except NotFound:
            continue  # a preparation that cannot be carried out uses nothing
        face = json.loads(head.partition(b"\n")[0])["plan"]["recipe"].get("face") or {}
        if face.get("encoder"):
            found[job.id] = face["encoder"]
    return found
