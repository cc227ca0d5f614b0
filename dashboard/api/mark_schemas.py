"""What the API takes and answers of marks on faces, and of long lists of items."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from core.faces.marks import LONGEST_NOTE, MOST_AT_ONCE
from dashboard.api.schemas import ItemId


class MarkChange(BaseModel):
    """What is left out stays as it is."""

    model_config = ConfigDict(extra="forbid")

    favourite: bool | None = None
    note: str | None = Field(None, max_length=LONGEST_NOTE)


class ManyMarks(BaseModel):
    model_config = ConfigDict(extra="forbid")

    items: list[ItemId] = Field(min_length=1, max_length=MOST_AT_ONCE, description="Ids of items of the job.")
    favourite: bool = Field(description="With a star, or without; notes stay as they are.")


class Marked(BaseModel):
    marked: int = Field(description="How many items that were.")


class NarrowedQuery(BaseModel):
    state: str | None = Field(
        None, max_length=200, description="Only items in these states, separated by commas."
    )
    error_code: str | None = Field(None, max_length=40, description="Only what failed of this.")
    favourites: bool = Field(False, description="Only what has a star.")
    noted: bool = Field(False, description="Only what has a note.")


class AnchorsQuery(NarrowedQuery):
    every: int = Field(60, ge=10, le=1000, description="Items of a block.")


class ItemIds(BaseModel):
    data: list[int] = Field(description="In the order they were submitted.")


class Anchors(BaseModel):
    count: int
    after: list[int] = Field(description="For each block, what to send as `after` to read it.")
