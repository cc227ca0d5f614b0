"""What somebody asks for when they want a dataset, as checked data; `core/datasets/requests.py` plans it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from core.datasets.recipes import Recipe
from core.specs import DATASET_NAME

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
    webhook_url: str | None = Field(
        None, max_length=2000, description="Told of its end by a signed note; the secret is answered once."
    )
    files: list[NewDatasetFile]
