"""What the API takes and answers about two jobs side by side."""

from __future__ import annotations

from pydantic import BaseModel, Field

from core.comparison import Shown
from dashboard.api.schemas import ItemView, JobPath, JobView


class ComparisonPath(JobPath):
    other_id: str = Field(max_length=40, description="Another job that draws faces.")


class ComparisonQuery(BaseModel):
    limit: int = Field(24, ge=1, le=200)
    after: int = Field(-1, ge=-1, le=2**31 - 1, description="`next` of the page before.")
    shown: Shown = Field(
        "common",
        description="Recordings that both jobs have, those of which both have a face, or those of which only one has.",
    )


class PairView(BaseModel):
    first: ItemView
    second: ItemView
    same_picture: bool = Field(description="Whether both have the very same face, byte for byte.")


class ComparisonPage(BaseModel):
    data: list[PairView]
    next: int | None = Field(
        description="Send it as `after` for the next page. A page may have fewer pairs than `limit`, or none, and "
        "still have a next one."
    )


class PartnerList(BaseModel):
    data: list[JobView] = Field(description="Jobs that have some of the first recordings of this one.")
