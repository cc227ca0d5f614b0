"""What a schedule is asked to do, as checked data: when to retrain, of which collection, how, and whom to tell."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from core.datasets.recipes import FaceRecipe, Recipe, VoiceRecipe
from core.errors import InvalidRequest
from core.schedules.cron import check_cron, check_zone
from core.specs import DATASET_NAME
from core.training.parts import Machine
from core.training.presets import PRESETS
from core.training.specs import (
    AfterTraining,
    ASTTask,
    FaceDecoderTask,
    MatchingTask,
    Task,
    TrainSpec,
    VEConvTask,
)

NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"
COLLECTION_NAME = DATASET_NAME

CatchUp = Literal["none", "last", "all"]
Overlap = Literal["skip", "queue", "replace"]
_Column = Annotated[str, Field(min_length=1, max_length=200)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Source(_Part):
    """A collection, and how the files in it lie."""

    collection: str = Field(pattern=COLLECTION_NAME, max_length=80)
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


class Training(_Part):
    """A `TrainSpec` without its dataset and parent, which every run finds for itself."""

    model: str = Field(
        pattern=DATASET_NAME, max_length=60, description="Its name; the version follows by itself."
    )
    preset: str | None = Field(
        None, max_length=80, description="The training it begins with, where no recipe is given."
    )
    recipe: Task
    machine: Machine = Machine()
    after: AfterTraining = AfterTraining()

    @model_validator(mode="before")
    @classmethod
    def _of_preset(cls, values: Any) -> Any:
        if not isinstance(values, dict) or not values.get("preset") or values.get("recipe"):
            return values
        preset = PRESETS.get(str(values["preset"]))
        if preset is None:
            raise ValueError(f"there is no preset {values['preset']!r}; there are: {', '.join(PRESETS)}")
        return {"machine": preset.machine, **values, "recipe": preset.recipe}

    def spec(self, dataset: str, parent: str | None) -> TrainSpec:
        """What a run trains."""
        return TrainSpec(
            model=self.model,
            dataset=dataset,
            recipe=self.recipe,
            machine=self.machine,
            parent=parent,
            after=self.after,
        )


class Retraining(_Part):
    """Prepare what is new, train on it, and let the gate decide."""

    source: Source
    dataset: str = Field(
        "",
        pattern=r"^$|" + DATASET_NAME,
        max_length=80,
        description="Name of the dataset that is made; the collection's where it is left out.",
    )
    prepare: Recipe | None = Field(
        None, description="How it is prepared; what the training needs where it is left out."
    )
    training: Training
    warm_start: bool = Field(
        False, description="Start from the weights of the version in place, not from scratch."
    )

    @property
    def dataset_name(self) -> str:
        return self.dataset or self.source.collection

    @property
    def recipe(self) -> Recipe:
        """How the collection is prepared."""
        return self.prepare or recipe_for(self.training.recipe)


class NewSchedule(_Part):
    """A schedule to be. At least one of `cron` and `new_pairs` says when; with both, whichever comes first."""

    name: str = Field(pattern=NAME, max_length=80)
    cron: str | None = Field(
        None, max_length=120, description="Minute, hour, day of month, month, day of week."
    )
    time_zone: str = Field("UTC", max_length=60, description="An IANA name, such as Europe/Berlin.")
    new_pairs: int | None = Field(
        None, ge=1, le=10**9, description="Fires when so many more people have both sides than last time."
    )
    template: Retraining
    catch_up: CatchUp = Field(
        "last", description="Of times missed while nothing ran, or while paused: none, the last, or all."
    )
    overlap: Overlap = Field(
        "skip", description="When a run is still under way: skip the new one, queue it, or replace the old."
    )
    webhook_url: str | None = Field(
        None, max_length=2000, pattern=r"^https?://", description="Who is told when a run has ended."
    )

    @field_validator("cron", "webhook_url", mode="before")
    @classmethod
    def _one_blank(cls, value: Any) -> Any:
        return _tidied(value)

    @model_validator(mode="after")
    def _fires(self) -> Self:
        try:
            check_zone(self.time_zone)
            if self.cron is not None:
                check_cron(self.cron, self.time_zone)
        except InvalidRequest as error:
            raise ValueError(error.message) from error
        if self.cron is None and self.new_pairs is None:
            raise ValueError("say when it fires: a cron expression, a number of new pairs, or both")
        return self


class ScheduleChange(_Part):
    """What is to be different about a schedule; what is left out stays."""

    cron: str | None = Field(None, max_length=120)
    time_zone: str = Field("UTC", max_length=60)
    new_pairs: int | None = Field(None, ge=1, le=10**9)
    template: Retraining | None = None
    catch_up: CatchUp = "last"
    overlap: Overlap = "skip"
    webhook_url: str | None = Field(None, max_length=2000, pattern=r"^https?://")

    @field_validator("cron", "webhook_url", mode="before")
    @classmethod
    def _one_blank(cls, value: Any) -> Any:
        return _tidied(value)

    def given(self) -> dict[str, Any]:
        """The values that were told; a value of None takes something away."""
        return {name: getattr(self, name) for name in self.model_fields_set}


def recipe_for(task: Task) -> Recipe:
    """What a training needs of every voice and every face."""
    if isinstance(task, FaceDecoderTask):
        face = FaceRecipe(outputs=("picture", "landmarks", "embedding"), encoder=task.face_encoder)
        return Recipe(voice=None, face=face)
    if isinstance(task, VEConvTask):
        face = FaceRecipe(outputs=("embedding",), encoder=task.face_encoder)
        return Recipe(voice=VoiceRecipe(features=("ve_conv",)), face=face)
    if isinstance(task, ASTTask):
        face = FaceRecipe(outputs=("embedding",), encoder=task.face_encoder)
        return Recipe(voice=VoiceRecipe(features=("ast",)), face=face)
    seconds = max(task.clip_seconds, 0.5) if isinstance(task, MatchingTask) else 6.0
    return Recipe(
        voice=VoiceRecipe(features=("waveform",), waveform_seconds=seconds),
        face=FaceRecipe(outputs=("picture",)),
    )


def _tidied(value: Any) -> Any:
    """A text with one blank between its words; nothing where it has none."""
    return " ".join(value.split()) or None if isinstance(value, str) else value
