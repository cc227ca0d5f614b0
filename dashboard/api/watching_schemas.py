"""What the API answers about programs: where they stand, their curves, their log and their files."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field

from core.states import JobState
from dashboard.api.schemas import JobPath


class CurvesQuery(BaseModel):
    after: int = Field(
        -1, ge=-1, le=2**31 - 1, description="Only points of later steps: `next` of the answer before."
    )
    points: int = Field(1000, ge=10, le=100_000, description="Of each curve, at most about so many.")


class CurveColumns(BaseModel):
    steps: list[int]
    values: list[float | None] = Field(description="As many as steps; null for what is no finite number.")


class EpochColumns(BaseModel):
    steps: list[int]
    epochs: list[float]


class CurvesView(BaseModel):
    series: dict[str, CurveColumns] = Field(description="By name, such as `train/total`.")
    epochs: EpochColumns = Field(description="How far the training was at some of the steps.")
    next: int = Field(
        description="Send it as `after`. The newest step comes again: curves may still join it."
    )
    thinned: bool = Field(
        description="Points were left out; the lowest and highest of each stretch are there."
    )


class LogQuery(BaseModel):
    after: int | None = Field(
        None, ge=0, le=2**63 - 1, description="Only later lines; left out: the last ones there are."
    )
    limit: int = Field(500, ge=1, le=4000)


class LogLineView(BaseModel):
    id: int
    level: str = Field(description="`info`, `warning` or `error`.")
    text: str
    at: datetime


class LogView(BaseModel):
    data: list[LogLineView] = Field(description="Oldest first.")
    next: int = Field(description="Send it as `after` for what comes next.")


class JobFilePath(JobPath):
    name: str = Field(max_length=400, description="As the job lists it, such as `history.csv`.")


class JobFilesQuery(BaseModel):
    kind: str | None = Field(
        None, max_length=200, description="Only files of these kinds, separated by commas."
    )


class JobFileView(BaseModel):
    name: str
    kind: str = Field(description="`checkpoint`, `best`, `sample`, `history`, `events`, `model`, `report`, …")
    step: int | None = Field(description="Of the training, where it belongs to one.")
    size_bytes: int
    sha256: str
    media_type: str
    created_at: datetime
    url: str


class JobFileList(BaseModel):
    data: list[JobFileView]


class ProgressView(BaseModel):
    phase: str
    epoch: int
    epochs: int
    step: int
    steps: int
    learning_rate: float | None
    samples_per_second: float | None
    memory_bytes: int | None = Field(description="Of the device; of the process on a CPU.")
    eta_seconds: float | None
    resumed_at_step: int | None
    doing: str
    at: datetime


class TrainingView(BaseModel):
    job: str
    kind: str
    state: JobState
    spec: dict[str, Any]
    progress: ProgressView | None = Field(description="Null before the program has told anything.")
    result: dict[str, Any] | None = Field(description="Null until it has ended well.")
    models: list[str] = Field(description="Versions that it registered, as `name@version`.")
    evaluations: list[str] = Field(description="Ids of evaluations that it made.")
