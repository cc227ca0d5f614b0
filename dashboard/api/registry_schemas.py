"""What the API takes and answers about versions of models, where they come from, and what points at them."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from dashboard.api.schemas import ModelPath


class AliasPath(BaseModel):
    alias: str = Field(max_length=80, description="Such as `production`.")


class OtherModelPath(ModelPath):
    other: str = Field(max_length=160, description="The version to put beside it.")


class DeleteQuery(BaseModel):
    dry_run: bool = Field(False, description="Change nothing, and tell what would happen.")
    reason: str = Field("", max_length=1000)


class Promotion(BaseModel):
    model_config = ConfigDict(extra="forbid")

    alias: str = Field("production", max_length=80)
    reason: str = Field("", max_length=1000, description="For people who look at it later.")
    force: bool = Field(False, description="Even where the alias would draw from another kind of input.")


class Rollback(BaseModel):
    model_config = ConfigDict(extra="forbid")

    version: str | None = Field(
        None,
        max_length=160,
        description="`name@version` that the alias points at now: sent twice, it is then rolled back once.",
    )
    reason: str = Field("", max_length=1000)


class MovesQuery(BaseModel):
    limit: int = Field(50, ge=1, le=200)
    before: int | None = Field(None, ge=0, le=2**63 - 1, description="`next` of the page before.")


class AuditQuery(MovesQuery):
    subject: str | None = Field(None, max_length=160, description="Only what was done to this.")


class MoveView(BaseModel):
    id: int
    alias: str
    kind: Literal["create", "promote", "rollback"]
    before: str | None = Field(description="`name@version` that it pointed at; null for the first.")
    after: str
    actor: str = Field(description="Id of the user, or of the job that promoted by itself.")
    actor_name: str
    reason: str
    at: datetime


class MovePage(BaseModel):
    data: list[MoveView]
    next: int | None = Field(description="Send it as `before` for the next page.")


class AliasView(BaseModel):
    alias: str
    model: str = Field(description="`name@version`.")
    input: Literal["voice", "face"] | None
    moved_at: datetime
    rolls_back_to: str | None = Field(description="Null where there is nothing to roll back to.")


class AliasList(BaseModel):
    data: list[AliasView]


class DeletionView(BaseModel):
    model: str
    deleted: bool
    dry_run: bool
    in_use: list[str] = Field(description="Why it is refused; empty where it is not.")
    files: list[str] = Field(description="Whose content goes.")
    shared: list[str] = Field(description="Whose content stays, as other versions have it too.")
    freed_bytes: int


class RelatedModel(BaseModel):
    label: str
    deleted: bool


class LineageView(BaseModel):
    model: str
    job: str | None = Field(description="That trained it; null for models that were brought in.")
    dataset: str | None = Field(description="`name@version`.")
    parent: RelatedModel | None = Field(description="Whose weights it began with.")
    children: list[RelatedModel] = Field(description="That began with its weights.")
    facts: dict[str, Any] | None = Field(
        description="Hashes and labels of all that, the whole `spec`, `code` and `libraries`."
    )


class EvaluationOfModel(BaseModel):
    id: str
    dataset: str
    dataset_sha256: str
    split: str
    partner: str | None
    job: str
    conditions_sha256: str = Field(description="Numbers can be compared where this and the dataset agree.")
    metrics: dict[str, Any]
    created_at: datetime


class EvaluationsOfModel(BaseModel):
    data: list[EvaluationOfModel]


class ComparedMetricView(BaseModel):
    name: str
    title: str
    first: dict[str, Any] | None
    second: dict[str, Any] | None
    better: Literal["first", "second", "equal"] | None = Field(description="The one with the better value.")
    difference: float | None = Field(description="Positive where the first is better, whatever the metric.")
    low: float | None = Field(description="Of the 95 % interval of the difference.")
    high: float | None
    certain: bool = Field(description="Whether that interval leaves out 0.")


class ComparedEvaluationsView(BaseModel):
    dataset: str
    split: str
    evaluations: tuple[str, str]
    metrics: list[ComparedMetricView]


class ComparisonView(BaseModel):
    first: str
    second: str
    data: list[ComparedEvaluationsView] = Field(
        description="Whatever both were measured on under the same conditions."
    )


class AuditEntryView(BaseModel):
    id: int
    actor: str
    actor_name: str
    action: str
    subject: str
    details: dict[str, Any]
    at: datetime


class AuditPage(BaseModel):
    data: list[AuditEntryView]
    next: int | None = Field(description="Send it as `before` for the next page.")
