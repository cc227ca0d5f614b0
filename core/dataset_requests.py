"""What somebody asks for when they want a dataset, checked, and made a plan of.

The files were sent before, like recordings; here they get paths, and the paths a meaning. A file that was left out or
could not be sent is named all the same, so that the report of the dataset speaks of every file there was.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator
from sqlalchemy import select
from sqlalchemy.orm import Session

from core.database import Database
from core.dataset_plan import Plan
from core.errors import InvalidRequest
from core.layouts import LayoutOptions, SourceFile, plan_files
from core.objects import dataset_plan_key, recording_key
from core.recipes import Recipe
from core.registry import resolve_model
from core.specs import DATASET_NAME
from core.store import Store
from core.tables import RecordingOwner

LARGEST_TABLE_BYTES = 128 * 2**20
_ROWS_AT_ONCE = 500
_TOLD = 5

_Column = Annotated[str, Field(min_length=1, max_length=200)]


class NewDatasetFile(BaseModel):
    """A file of the source: sent before, left behind on purpose, or not to be sent, with the reason."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str = Field(max_length=4000, description="Relative, with `/` between folders.")
    recording: str | None = Field(
        None, pattern=r"^[0-9a-f]{64}$", description="SHA-256 of its content, sent as a recording is."
    )
    error_code: str | None = Field(None, max_length=40, description="Why it could not be sent.")
    error_message: str | None = Field(None, max_length=1000)

    @field_validator("error_message", mode="before")
    @classmethod
    def _storable(cls, value: object) -> object:
        if isinstance(value, str):
            return value.replace("\0", "\ufffd").encode("utf-8", "replace").decode("utf-8")
        return value


class NewDataset(BaseModel):
    """A dataset to be: its files, how they lie, and what is to be made of them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(
        pattern=DATASET_NAME, max_length=80, description="Its name; the version follows by itself."
    )
    layout: str = Field("auto", max_length=40, description="How the files lie; `auto` looks at them.")
    columns: dict[str, _Column] = Field(
        default_factory=dict,
        max_length=10,
        description="Of a manifest, what they hold: `voice`, `face`, `identity`, `split`, `path`, `side`.",
    )
    faces: Literal["masked", "origin"] = Field("masked", description="Which pictures of HQ-VoxCeleb.")
    manifest: str | None = Field(
        None, max_length=1000, description="Path of the manifest, where several lie there."
    )
    recipe: Recipe = Field(default_factory=Recipe)
    priority: int = Field(0, ge=-100, le=100, description="Higher goes first; above 0 is for operators.")
    files: list[NewDatasetFile]


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
        recipe = _pinned(session, wanted.recipe)
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


def _pinned(session: Session, recipe: Recipe) -> Recipe:
    """The recipe with the version that its encoder stands for today."""
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
    sha256 = file.recording
    if sha256 is None:
        return SourceFile(file.path)

    def read() -> bytes:
        key = recording_key(sha256)
        if (size := store.size(key)) > LARGEST_TABLE_BYTES:
            raise InvalidRequest(
                f"The table {file.path!r} has {size / 2**20:,.0f} MiB; {LARGEST_TABLE_BYTES / 2**20:,.0f} is the most."
            )
        return store.get(key)

    return SourceFile(file.path, source=sha256, read=read)
