"""What the API takes and answers about how a job went, its turn, and running it again."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from dashboard.api.schemas import ItemId


class JobMoveView(BaseModel):
    id: int
    old: str | None
    new: str
    actor: str = Field(description="The name of a user, or what moved it by itself.")
    reason: str | None
    at: datetime


class TimelineView(BaseModel):
    data: list[JobMoveView]


class ThroughputView(BaseModel):
    start: datetime | None = Field(description="When the first step begins; null before anything was begun.")
    seconds: float = Field(description="The length of a step.")
    counts: list[float] = Field(description="Items brought to an end in each step.")


class NewPriority(BaseModel):
    model_config = ConfigDict(extra="forbid")

    priority: int = Field(ge=-100, le=100, description="Higher goes first; above 0 is for operators.")


class RerunRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")

    model: str = Field("production", max_length=160, description="An alias, a name, or name@version.")
    which: Literal["missing", "failed", "all"] = Field(
        "missing", description="What the model has not drawn yet, what failed in the job, or every recording."
    )
    items: list[ItemId] | None = Field(None, max_length=10_000, description="Only these of them, by id.")
    error_code: str | None = Field(None, max_length=40, description="Only what failed of this in the job.")
    name: str = Field("", max_length=200)
    dry_run: bool = Field(False, description="Only say how many recordings it would be.")


class RerunView(BaseModel):
    model: str
    which: str
    items: int = Field(description="Recordings of the new job.")
    known: int = Field(description="How many of them the model has drawn before, so that they cost nothing.")
    job: str | None = Field(description="Id of the new job; null for a dry run.")
    refused: str | None = Field(None, description="Why it would be refused now; only of a dry run.")
