"""What the API takes and answers where trainings, evaluations and analyses are asked for."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field, RootModel

from core.training.specs import AnalyseSpec, EvaluateSpec, TrainSpec

_PRIORITY = Field(0, ge=-100, le=100, description="Higher goes first; above 0 is for operators.")
_WEBHOOK = Field(
    None, max_length=2000, description="Told of its end by a signed note; the secret is answered once."
)
_NAME = Field("", max_length=200, description="Of the job, for people to read.")


class NewTraining(TrainSpec):
    name: str = _NAME
    priority: int = _PRIORITY
    webhook_url: str | None = _WEBHOOK

    def spec(self) -> TrainSpec:
        return TrainSpec.model_validate(_without_more(self))


class NewEvaluation(EvaluateSpec):
    name: str = _NAME
    priority: int = _PRIORITY
    webhook_url: str | None = _WEBHOOK

    def spec(self) -> EvaluateSpec:
        return EvaluateSpec.model_validate(_without_more(self))


class NewAnalysis(AnalyseSpec):
    name: str = _NAME
    priority: int = _PRIORITY
    webhook_url: str | None = _WEBHOOK

    def spec(self) -> AnalyseSpec:
        return AnalyseSpec.model_validate(_without_more(self))


class PresetView(BaseModel):
    name: str
    title: str
    sentence: str
    recipe: dict[str, Any] = Field(description="The `recipe` of a training.")
    machine: dict[str, Any] = Field(description="How it is best run.")


class PresetList(BaseModel):
    data: list[PresetView]


class CheckRequest(RootModel[dict[str, Any]]):
    """A training as `POST /trainings` takes it, right or wrong."""


class ProblemView(BaseModel):
    field: str = Field(description="Dotted, such as `recipe.loop.batch`; empty for the whole.")
    message: str


class Checked(BaseModel):
    ok: bool
    problems: list[ProblemView]
    spec: dict[str, Any] | None = Field(
        description="As it would be kept: everything filled in, versions in place of names. Null where it is not ok."
    )


def _without_more(body: BaseModel) -> dict[str, Any]:
    return body.model_dump(exclude={"name", "priority", "webhook_url"})
