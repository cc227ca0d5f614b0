"""What the API tells of one item beyond what lists of many tell."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from dashboard.api.schemas import ItemView


class OriginView(BaseModel):
    model: str = Field(description="`name@version` that drew it.")
    seed: int = Field(description="Of the noise, for models that take any.")
    drawn_at: datetime
    seconds: float = Field(description="Of work on it.")
    job_id: str | None = Field(
        description="The job it was drawn in, which is an earlier one where the same was asked before; null where "
        "you may not see that job, or it is gone."
    )
    job_name: str | None
    device: str | None = Field(description="What it was drawn on, such as `cpu`.")


class ItemDetails(ItemView):
    origin: OriginView | None = Field(description="Where its face comes from; null while it has none.")
    landmarks_url: str | None = Field(
        description="Where the landmarks of its face are told; null where the model that drew it knows none."
    )


# Not a tuple: its schema would not be one of OpenAPI.
Point = Annotated[list[float], Field(min_length=2, max_length=2)]


class LandmarksView(BaseModel):
    order: Literal["ibug68"] = Field(description="Which point is which: the 68 of iBUG, as in 300-W.")
    points: list[Point] = Field(
        description="x, y in pixels of the face, from its upper left; whole numbers are the middles of pixels."
    )
    width: int = Field(description="Of the face in pixels.")
    height: int
