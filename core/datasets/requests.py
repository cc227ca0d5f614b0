"""A wish for a dataset, checked, and made a plan of.

The files were sent before, like recordings; here they get paths, and the paths a meaning. A file that was left out or
could not be sent is named all the same, so that the report of the dataset speaks of every file there was.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.datasets.layouts import LayoutOptions, SourceFile, plan_files
from core.datasets.plan import Plan
from core.datasets.recipes import Recipe
from core.datasets.specs import NewDataset, NewDatasetFile
from core.errors import InvalidRequest
from core.ledger.database import Database
from core.ledger.tables import RecordingOwner
from core.models.registry import resolve_model
from core.objects import dataset_plan_key, recording_key
from core.store import Store

LARGEST_TABLE_BYTES = 128 * 2**20
_ROWS_AT_ONCE = 500
_TOLD = 5


def plan_dataset(
    database: Database, store: Store, wanted: NewDataset, *, owner_id: str, max_files: int
) -> Plan:
    """Plans what was asked for and keeps the plan in the store, under its own name.

    Raises:
        InvalidRequest: too many files, files their owner never sent, an unknown encoder, a layout that cannot be
            told, or nothing to prepare.
        StorageUnavailable: try again later.
    """
    sent = [file for file in wanted.files if file.recording is not None]
    if len(sent) > max_files:
        raise InvalidRequest(f"A dataset takes at most {max_files:,} files here; these are {len(sent):,}.")
    with database.read() as session:
        _check_owned(session, owner_id, sent)
        recipe = pinned_recipe(session, wanted.recipe)
    options = LayoutOptions(columns=wanted.columns, faces=wanted.faces, manifest=wanted.manifest)
    plan = plan_files([_source(store, file) for file in wanted.files], recipe, wanted.layout, options)
    store.put(dataset_plan_key(plan.sha256), plan.to_bytes(), "application/x-ndjson")
    return plan


def _check_owned(session: Session, owner_id: str, files: Sequence[NewDatasetFile]) -> None:
    wanted = sorted({file.recording for file in files if file.recording is not None})
    owned: set[str] = set()
    for some in _batches(wanted):
        query = select(RecordingOwner.sha256).where(
            RecordingOwner.owner_id == owner_id, RecordingOwner.sha256.in_(some)
        )
        owned.update(session.scalars(query))
    missing = [file.path for file in files if file.recording not in owned]
    if missing:
        some_paths = ", ".join(repr(path[:200]) for path in missing[:_TOLD])
        raise InvalidRequest(f"The contents of {len(missing):,} files were never sent: {some_paths}.")


def _batches(values: Sequence[str]) -> list[Sequence[str]]:
    return [values[start : start + _ROWS_AT_ONCE] for start in range(0, len(values), _ROWS_AT_ONCE)]


def pinned_recipe(session: Session, recipe: Recipe) -> Recipe:
    """The recipe with the version that its encoder stands for today.

    Raises:
        InvalidRequest: there is no such encoder of faces.
    """
    face = recipe.face
    if face is None or face.encoder is None:
        return recipe
    model = resolve_model(session, face.encoder)
    if model.config.get("part") != "encoder" or model.config.get("input") != "face":
        raise InvalidRequest(f"{model.label} does not encode faces; embeddings need a network that does.")
    return recipe.model_copy(update={"face": face.model_copy(update={"encoder": model.label})})


def _source(store: Store, file: NewDatasetFile) -> SourceFile:
    if file.error_code is not None:
        message = file.error_message or "It could not be sent."
        return SourceFile(file.path, refused=(file.error_code, message))
    return SourceFile(file.path) if file.recording is None else sent_file(store, file.path, file.recording)


def sent_file(store: Store, path: str, sha256: str) -> SourceFile:
    """A file whose content was sent, under the path that it is to have."""

    def read() -> bytes:
        key = recording_key(sha256)
        if (size := store.size(key)) > LARGEST_TABLE_BYTES:
            raise InvalidRequest(
                f"The table {path!r} has {size / 2**20:,.0f} MiB; {LARGEST_TABLE_BYTES / 2**20:,.0f} is the most."
            )
        return store.get(key)

    return SourceFile(path, source=sha256, read=read)
