"""What the API takes and answers where recordings come in: uploads in parts, and archives."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field

from core.specs import NewItem


class UploadPath(BaseModel):
    upload_id: str = Field(max_length=40)


class PartPath(UploadPath):
    number: int = Field(ge=1, le=10_000)


class NewUpload(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=1000, description="File name, for people to read.")
    size_bytes: int = Field(ge=1, le=2**50)
    fingerprint: str = Field(
        min_length=1,
        max_length=200,
        description="Your own mark of the file, by which its upload is found again.",
    )


class UploadView(BaseModel):
    id: str
    name: str
    size_bytes: int
    part_bytes: int = Field(description="Of every part but the last.")
    parts: int = Field(description="How many there are; their numbers begin at 1.")
    sent: list[int] = Field(description="Numbers of the parts that are here already.")
    recording: str | None = Field(description="SHA-256 of it, once it was completed.")
    created_at: datetime
    expires_at: datetime = Field(description="Swept away then, unless it was completed.")
    finished_at: datetime | None


class UploadId(BaseModel):
    id: str


class UnpackedView(BaseModel):
    items: list[NewItem] = Field(description="For `POST /api/v1/jobs`, as they are.")
    failed: int = Field(description="Items that carry a reason instead of a recording.")
    left_out: int = Field(description="Notes, tables and hidden files.")
