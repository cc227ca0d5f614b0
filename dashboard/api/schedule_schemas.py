"""What the API takes and answers about collections and schedules."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from core.schedules.specs import NAME, CatchUp, Overlap, Retraining
from core.schedules.states import RunState


class CollectionPath(BaseModel):
    name: str = Field(max_length=80)


class CollectionQuery(BaseModel):
    layout: str = Field("auto", max_length=40, description="How the files lie, for counting people.")


class NewCollectionFile(BaseModel):
    model_config = ConfigDict(extra="forbid")

    path: str = Field(max_length=4000, description="Relative, with `/` between folders.")
    recording: str = Field(
        pattern=r"^[0-9a-f]{64}$", description="SHA-256 of its content, sent as a recording is."
    )


class NewCollectionFiles(BaseModel):
    model_config = ConfigDict(extra="forbid")

    files: list[NewCollectionFile] = Field(max_length=100_000)


class NewCollectionPath(BaseModel):
    name: str = Field(pattern=NAME, max_length=80)


class CollectionLinks(BaseModel):
    self: str


class CollectionView(BaseModel):
    name: str
    files: int
    created_at: datetime
    links: CollectionLinks


class CollectionDetails(CollectionView):
    pairs: int | None = Field(description="People with both a voice and a face; null where nobody can tell.")
    problem: str | None = Field(description="Why they cannot be counted.")
    newest: list[str] = Field(description="Paths of the files that came last, the newest first.")


class CollectionList(BaseModel):
    data: list[CollectionView]


class AddedFiles(BaseModel):
    collection: str
    new: int
    known: int = Field(description="Were there already, with the same contents.")


class SchedulePath(BaseModel):
    name: str = Field(max_length=80)


class RunPath(SchedulePath):
    run_id: str = Field(max_length=40)


class ScheduleQuery(BaseModel):
    zone: str | None = Field(None, max_length=60, description="Your time zone, to see fire times in it too.")
    limit: int = Field(20, ge=1, le=200, description="Of runs.")
    before: str | None = Field(None, max_length=40, description="`next` of the page before.")


class RunRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")

    anyway: bool = Field(False, description="Train even where nothing is new.")


class PreviewRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")

    cron: str = Field(max_length=120)
    time_zone: str = Field("UTC", max_length=60)
    zone: str | None = Field(None, max_length=60, description="Your time zone.")


class FireTime(BaseModel):
    at: datetime = Field(description="In UTC.")
    local: str = Field(description="In the schedule's time zone.")
    yours: str | None = Field(description="In the time zone you asked for.")


class Preview(BaseModel):
    words: str = Field(description="What the expression says, as people say it.")
    next: list[FireTime]


class NoteView(BaseModel):
    """How a webhook was told about a run."""

    delivered_at: datetime | None
    attempts: int
    next_attempt_at: datetime | None
    last_error: str | None


class RunView(BaseModel):
    id: str
    fire_time: datetime
    why: Literal["cron", "pairs", "by_hand"]
    state: RunState
    sentence: str
    prepare_job: str | None
    train_job: str | None
    pairs: int = Field(description="People with both sides in the collection when it began.")
    result: dict[str, Any]
    created_at: datetime
    ended_at: datetime | None
    note: NoteView | None


class ScheduleLinks(BaseModel):
    self: str
    html: str


class ScheduleView(BaseModel):
    id: str
    name: str
    owner: str
    when: str = Field(description="When it fires, as people say it.")
    cron: str | None
    time_zone: str
    new_pairs: int | None
    template: Retraining
    catch_up: CatchUp
    overlap: Overlap
    webhook_url: str | None = Field(description="For operators; its host alone for others.")
    paused_at: datetime | None
    last_fired_at: datetime | None
    next: list[FireTime]
    last_run: RunView | None
    created_at: datetime
    links: ScheduleLinks


class ScheduleMade(ScheduleView):
    webhook_secret: str | None = Field(description="What notes are signed with. It is shown this once.")


class ScheduleDetails(ScheduleView):
    runs: list[RunView]
    next_page: str | None = Field(description="Send it as `before` for older runs.")


class ScheduleList(BaseModel):
    data: list[ScheduleView]


class SecretView(BaseModel):
    webhook_secret: str = Field(description="What notes are signed with from now on. It is shown this once.")


class Gone(BaseModel):
    removed: str
