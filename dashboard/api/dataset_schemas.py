"""What the API takes and answers about datasets."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field


class DatasetPath(BaseModel):
    label: str = Field(max_length=100, description="`name@version`, or a name for its newest version.")


class DatasetFilePath(DatasetPath):
    name: str = Field(max_length=400, description="As the dataset lists it, such as `shards/00000.tar`.")


class DatasetsQuery(BaseModel):
    limit: int = Field(50, ge=1, le=200)
    before: str | None = Field(None, max_length=40, description="`next` of the page before.")


class DatasetLinks(BaseModel):
    self: str
    html: str
    job: str


class DatasetView(BaseModel):
    id: str
    label: str = Field(description="`name@version`, which never changes its meaning.")
    name: str
    version: int
    sha256: str = Field(description="Of its `dataset.json`, which vouches for all other files.")
    size_bytes: int
    job: str = Field(description="Id of the job that made it first.")
    summary: dict[str, Any] = Field(description="A few numbers; the whole report is `report.json`.")
    created_at: datetime
    links: DatasetLinks


class DatasetFileView(BaseModel):
    name: str
    size_bytes: int
    sha256: str
    url: str


class DatasetDetails(DatasetView):
    files: list[DatasetFileView]


class DatasetPage(BaseModel):
    data: list[DatasetView]
    next: str | None = Field(description="Send it as `before` for the next page.")
