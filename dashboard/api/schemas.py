"""What the API takes and answers, as pydantic models: the checks and the OpenAPI description both come from here."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from core.errors import QuotaExceeded
from core.specs import NewItem
from core.states import ItemState, JobState

ItemId = Annotated[int, Field(ge=0, le=2**63 - 1)]


class JobPath(BaseModel):
    job_id: str = Field(max_length=40, description="As answered when the job was made.")


class ItemPath(JobPath):
    item_id: ItemId


class RecordingPath(BaseModel):
    sha256: str = Field(max_length=64, description="SHA-256 of its content, in small hexadecimal digits.")


class JobsQuery(BaseModel):
    limit: int = Field(50, ge=1, le=200)
    before: str | None = Field(
        None, max_length=600, description="`next` of the page before, in the same order."
    )
    state: str | None = Field(
        None, max_length=200, description="Only jobs in these states, separated by commas."
    )
    kind: str | None = Field(
        None, max_length=100, description="Only these kinds, separated by commas, such as `infer`."
    )
    q: str = Field("", max_length=200, description="Part of a name or a label, or the beginning of an id.")
    owner: str = Field("", max_length=120, description="Only jobs of the user of this name.")
    model: str = Field("", max_length=160, description="Only jobs of this model: a name, or `name@version`.")
    label: str = Field("", max_length=200, description="Only jobs with this label, as `name=value`.")
    since: str = Field(
        "", max_length=40, description="Only jobs made then or later: a date or a time in ISO 8601."
    )
    sort: Literal["newest", "oldest", "name", "largest", "priority"] = "newest"


class ItemsQuery(BaseModel):
    limit: int = Field(100, ge=1, le=1000)
    after: int = Field(-1, ge=-1, le=2**31 - 1, description="`next` of the page before.")
    state: str | None = Field(
        None, max_length=200, description="Only items in these states, separated by commas."
    )
    error_code: str | None = Field(None, max_length=40, description="Only what failed of this.")
    favourites: bool = Field(False, description="Only what has a star.")
    noted: bool = Field(False, description="Only what has a note.")
    face_names: bool = Field(
        True, description="Whether to tell `face_name`, which has to read all items before the page."
    )


class EventsQuery(BaseModel):
    since: int | None = Field(
        None, ge=0, le=2**63 - 1, description="For browsers, which cannot send `Last-Event-ID` at first."
    )


class NewJobHeaders(BaseModel):
    idempotency_key: str | None = Field(
        None,
        alias="Idempotency-Key",
        min_length=1,
        max_length=200,
        description="Sent twice with one key, a job is made once.",
    )


class JobSource(BaseModel):
    model_config = ConfigDict(extra="forbid")

    job: str = Field(max_length=40, description="An earlier job that you may see.")
    which: Literal["all", "failed", "faces"] = Field("all", description="Which of its recordings.")


class NewJob(BaseModel):
    model_config = ConfigDict(extra="forbid")

    kind: Literal["infer"] = "infer"
    name: str = Field("", max_length=200, description="For people to read.")
    model: str = Field("production", max_length=160, description="An alias, a name, or name@version.")
    priority: int = Field(0, ge=-100, le=100, description="Higher goes first; above 0 is for operators.")
    seed: int = Field(0, ge=0, le=2**31 - 1, description="Of the noise, for models that take any.")
    labels: dict[str, str] = Field(
        default_factory=dict, description="Your own words about it: up to 16 names, each with a short value."
    )
    webhook_url: str | None = Field(
        None, max_length=2000, description="Told of its end by a signed note; the secret is answered once."
    )
    source: JobSource | None = Field(None, description="Instead of `items`: recordings of an earlier job.")
    items: list[NewItem] = Field(default_factory=list)


class RetryRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")

    which: Literal["failed", "cancelled", "unfinished"] = "failed"
    items: list[ItemId] | None = Field(None, max_length=10_000, description="Only these of them, by id.")
    error_code: str | None = Field(None, max_length=40, description="Only those that failed of this.")


class QuotaRefusal(BaseModel):
    """The numbers behind a refusal for a limit."""

    limit: str = Field(description="items_at_once, items_a_day, jobs_at_once or stored_bytes.")
    most: int
    used: int
    wanted: int = Field(description="What was asked for beside what is used.")
    frees_at: datetime | None = Field(description="When there is room, as far as that can be told.")

    @classmethod
    def of(cls, error: QuotaExceeded) -> QuotaRefusal:
        return cls(
            limit=error.limit,
            most=error.most,
            used=error.used,
            wanted=error.wanted,
            frees_at=error.frees_at,
        )


class Problem(BaseModel):
    """RFC 9457; `code` is stable, the words are for people."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    quota: QuotaRefusal | None = Field(None, description="Only with the code `quota_exceeded`.")


class CostView(BaseModel):
    """At the prices of the settings; nobody's bill."""

    work: float | None = Field(
        description="Of the time of workers; null where it is not known or has no price."
    )
    per_thousand: float | None = Field(description="The same for 1,000 faces.")
    storage_a_month: float | None = Field(description="Of what is kept in the store.")
    currency: str
    sentence: str = Field(description="The same for people.")


class ErrorView(BaseModel):
    code: str
    message: str


class ErrorCount(BaseModel):
    code: str
    count: int
    example: str = Field(description="The message of one of them.")


class RequestCounts(BaseModel):
    total: int
    pending: int
    leased: int
    done: int
    cached: int
    failed: int
    skipped: int
    cancelled: int


class JobLinks(BaseModel):
    self: str
    html: str
    items: str
    events: str
    results: str
    faces: str


class JobView(BaseModel):
    id: str
    kind: str
    name: str
    state: JobState
    model: str = Field(
        description="`name@version`, settled when the job was made; of a training, what it makes. Empty where none is "
        "needed."
    )
    dataset: str | None = Field(
        None,
        description="The one it reads; where it prepares one, its name, and `name@version` once it is there.",
    )
    input: Literal["voice", "face"] | None = Field(
        None, description="What faces are drawn from: recordings of voices, or pictures of faces."
    )
    priority: int
    owner: str = Field(description="The name of the user it belongs to.")
    labels: dict[str, str] = Field(description="The words its owner put on it.")
    rerun_of: str | None = Field(description="The job whose recordings it took over.")
    request_counts: RequestCounts
    rate_per_second: float | None = Field(description="Recordings brought to an end, lately.")
    eta_seconds: float | None
    created_at: datetime
    queued_at: datetime | None
    started_at: datetime | None
    paused_at: datetime | None
    cancel_requested_at: datetime | None
    finalizing_at: datetime | None
    finished_at: datetime | None
    purged_at: datetime | None = Field(description="When its faces were removed by a rule of retention.")
    error: ErrorView | None
    errors: list[ErrorCount] | None = Field(
        None, description="What items failed of, where one job is asked for."
    )
    gpu_seconds: float | None = Field(
        None, description="Time of workers with a GPU that went into it; null where nobody measured it."
    )
    cpu_seconds: float | None = Field(None, description="The same of workers that draw on processors.")
    cost: CostView | None = Field(
        None, description="So far, where one job is asked for and there are prices."
    )
    links: JobLinks


class NewJobView(JobView):
    webhook_secret: str | None = Field(
        None, description="Signs the note about its end; shown here, and never again."
    )


class JobPage(BaseModel):
    data: list[JobView]
    next: str | None = Field(description="Send it as `before` for the next page.")


class Retried(BaseModel):
    retried: int
    job: JobView


class MarkView(BaseModel):
    favourite: bool
    note: str
    by: str = Field(description="Id of the user who changed it last.")
    at: datetime


class ItemView(BaseModel):
    id: int
    position: int
    key: str = Field(description="Your own name for this line.")
    name: str
    state: ItemState
    error: ErrorView | None
    attempts: int
    seconds: float | None = Field(description="Of work on it.")
    duration_seconds: float | None = Field(description="Of the recording.")
    finished_at: datetime | None
    recording: str | None = Field(description="SHA-256 of the recording.")
    face_url: str | None
    thumbnail_url: str | None = Field(None, description="The face, small, for lists of many.")
    spectrogram_url: str | None
    recording_url: str | None
    mark: MarkView | None = Field(None, description="Where somebody marked it; in events it is left out.")
    face_name: str | None = Field(
        description="The file name that the face has in `faces.zip` and `results.csv`."
    )


class ItemPage(BaseModel):
    data: list[ItemView]
    next: int | None = Field(description="Send it as `after` for the next page.")


class RecordingView(BaseModel):
    recording: str = Field(description="SHA-256 of what arrived.")
    size_bytes: int
    media_type: str = Field(description="As its first bytes tell it.")


_MODEL_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"


class ModelPath(BaseModel):
    label: str = Field(max_length=160, description="An alias, a name (its newest version), or name@version.")


class ModelFilePath(ModelPath):
    name: str = Field(max_length=400, description="As the model lists it.")


class ModelFileSent(BaseModel):
    sha256: str = Field(description="Of what arrived.")
    size_bytes: int


class NewModelFile(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=200, description="Inside the model's folder.")
    sha256: str = Field(pattern="^[0-9a-f]{64}$", description="As answered when it was sent.")


class NewModel(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str = Field(max_length=80, pattern=_MODEL_NAME, description="Its next version is made.")
    files: list[NewModelFile] = Field(min_length=1, max_length=100)


class NewPair(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str = Field(max_length=80, pattern=_MODEL_NAME, description="Its next version is made.")
    encoder: str = Field(max_length=160, description="Makes embeddings: an alias, a name, or name@version.")
    decoder: str = Field(max_length=160, description="Makes pictures of them.")


class ModelFileView(BaseModel):
    name: str
    size_bytes: int
    sha256: str
    url: str


class HeadlineView(BaseModel):
    name: str = Field(description="As docs/metrics.md has it.")
    title: str
    value: float
    low: float | None
    high: float | None
    dataset: str
    split: str


class ModelView(BaseModel):
    label: str = Field(description="`name@version`, which never changes its meaning.")
    name: str
    version: int
    kind: str = Field(description="`speech_to_face`, `pair`, or the kind of a single network.")
    input: Literal["voice", "face"] | None = Field(
        description="What it draws faces from; null for a network that draws nothing by itself."
    )
    aliases: list[str]
    size_bytes: int
    created_at: datetime
    job: str | None = Field(description="That trained it; null for models that were brought in.")
    headline: HeadlineView | None = Field(description="The metric that says most, where it was measured.")


class ModelDetails(ModelView):
    sha256: str = Field(description="Of all its files together.")
    config: dict[str, Any] = Field(description="Its `config.json`.")
    files: list[ModelFileView]


class ModelList(BaseModel):
    data: list[ModelView]


class Me(BaseModel):
    id: str
    name: str
    role: str
    may_submit: bool
    may_change_models: bool
    max_upload_bytes: int
    max_model_bytes: int = Field(description="Of each file of a model.")
    max_items_per_job: int
