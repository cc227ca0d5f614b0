"""What is asked for and answered where results are taken away."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field

from dashboard.api.schemas import ItemId


class FacesQuery(BaseModel):
    state: str | None = Field(
        None, max_length=200, description="Only items in these states, separated by commas."
    )
    favourites: bool = Field(False, description="Only faces that somebody starred.")


class FaceSelection(BaseModel):
    model_config = ConfigDict(extra="forbid")

    items: list[ItemId] = Field(min_length=1, max_length=100_000, description="Ids of the items wanted.")


class SheetQuery(FacesQuery):
    page: int = Field(1, ge=1, le=100_000, description="Which page, beginning with 1.")


class FaceLink(BaseModel):
    url: str = Field(description="Whoever has it may fetch the face until then, without signing in.")
    expires_at: datetime


class JobNoteView(BaseModel):
    id: str = Field(description="Sent with the note as `X-Voicesketch-Delivery`.")
    delivered: bool
    delivered_at: datetime | None
    attempts: int
    next_attempt_at: datetime | None = Field(description="Null once delivered, or given up.")
    last_error: str | None
    created_at: datetime


class WebhookView(BaseModel):
    url: str | None = Field(description="Where the end of the job is told; null where nobody asked for it.")
    notes: list[JobNoteView] = Field(description="Newest first; one for each time that the job ended.")
