"""What the API takes and answers where recordings come in: uploads in parts, and archives."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from core.people.quotas import MOST
from core.specs import NewItem
from dashboard.api.schemas import CostView


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
    archive: bool = Field(
        False, description="It is a ZIP for `unpack`, which may be larger than a recording."
    )


class UploadView(BaseModel):
    id: str
    name: str
    size_bytes: int
    part_bytes: int = Field(description="Of every part but the last.")
    parts: int = Field(description="How many there are; their numbers begin at 1.")
    sent: list[int] = Field(description="Numbers of the parts that are here already.")
    direct: bool = Field(description="Whether `links` has addresses that lead straight into the store.")
    recording: str | None = Field(description="SHA-256 of it, once it was completed.")
    created_at: datetime
    expires_at: datetime = Field(description="Swept away then, unless it was completed.")
    finished_at: datetime | None


class UploadId(BaseModel):
    id: str


class PartNumbers(BaseModel):
    model_config = ConfigDict(extra="forbid")

    parts: list[Annotated[int, Field(ge=1, le=10_000)]] = Field(min_length=1, max_length=100)


class PartLink(BaseModel):
    number: int
    url: str = Field(description="`PUT` the bytes of the part there, with no headers of your own.")


class PartLinks(BaseModel):
    links: list[PartLink]
    seconds: int = Field(description="How long they hold.")


class UnpackedView(BaseModel):
    items: list[NewItem] = Field(description="For `POST /api/v1/jobs`, as they are.")
    failed: int = Field(description="Items that carry a reason instead of a recording.")
    left_out: int = Field(description="Notes, tables and hidden files.")


class ManifestQuery(BaseModel):
    name: str = Field(
        "manifest.csv", max_length=1000, description="File name; `.csv` or `.jsonl` tells the form."
    )


class ManifestLine(BaseModel):
    line: int = Field(description="Its number in the file; the first is 1.")
    key: str
    path: str = Field(description="As written.")


class ManifestProblem(BaseModel):
    line: int
    problem: str = Field(description="Goes on from `line N`, as in `names no file`.")


class ManifestView(BaseModel):
    lines: list[ManifestLine] = Field(description="The good ones; a manifest with problems is not for use.")
    problems: list[ManifestProblem] = Field(description="The first thousand of them.")
    problem_count: int


class Contents(BaseModel):
    model_config = ConfigDict(extra="forbid")

    recordings: list[Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]] = Field(
        max_length=1000, description="SHA-256 of each."
    )


class KnownView(BaseModel):
    known: list[str] = Field(description="Those of them that you have sent.")


class EstimateQuery(BaseModel):
    model: str = Field("production", max_length=160)
    items: int = Field(1, ge=1, le=10_000_000)
    bytes: int = Field(0, ge=0, le=MOST, description="Of those that are still to be sent.")
    priority: int = Field(0, ge=-100, le=100)


class EstimateView(BaseModel):
    model: str = Field(description="The version that was asked for.")
    items: int
    items_ahead: int = Field(description="Recordings of other jobs that come before the last one of this.")
    others_ahead: int = Field(description="Jobs of other kinds that go first; their time is not counted.")
    workers: int = Field(description="That may claim it now.")
    items_per_second: float | None = Field(description="Of one worker, as measured.")
    seconds: float | None = Field(description="Until the last face; null where it is not known.")
    sentence: str = Field(description="The same for people.")
    cost: CostView | None = Field(
        None, description="Of the job alone; null where it is not known or has no price."
    )
    refused: str | None = Field(
        None, description="Why such a job would be refused now; null where it would not."
    )
    refused_code: str | None = Field(None, description="The code of that, as of a problem.")


class S3Place(BaseModel):
    model_config = ConfigDict(extra="forbid")

    url: str = Field(
        max_length=1200, description="`s3://bucket/folder`: everything whose address begins so.", min_length=1
    )
    wanted: Literal["voice", "face"] = Field(
        "voice", description="Which files of it: recordings, or pictures."
    )


class S3Next(S3Place):
    after: str | None = Field(None, max_length=1100, description="`next` of the answer before.")


class S3Found(BaseModel):
    url: str
    recordings: int
    left_out: int = Field(description="Notes, tables and the like.")
    size_bytes: int = Field(description="Of the recordings.")
    more: bool = Field(description="Only the first ten thousand objects were counted.")


class S3Taken(BaseModel):
    items: list[NewItem] = Field(description="For `POST /api/v1/jobs`, as they are.")
    left_out: int
    next: str | None = Field(description="Send it as `after` for more; null at the end.")
