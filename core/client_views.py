"""What the API answers, as frozen values. `raw` keeps the answer itself, for `--json`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from core.states import ITEM_WITH_FACE, JOB_FINAL, ItemState, JobState


@dataclass(frozen=True)
class ErrorCount:
    """How many items of a job failed for one reason, with the words of one of them."""

    code: str
    count: int
    example: str


@dataclass(frozen=True)
class JobView:
    id: str
    name: str
    kind: str
    state: JobState
    model: str
    dataset: str | None  # what is prepared: a name, and `name@version` once it is there
    input: str  # what faces are drawn from: `voice` or `face`
    total: int
    counts: Mapping[ItemState, int]
    rate_per_second: float | None
    eta_seconds: float | None
    created_at: str
    errors: tuple[ErrorCount, ...]
    raw: Mapping[str, Any] = field(repr=False, compare=False)

    @classmethod
    def read(cls, raw: Mapping[str, Any]) -> JobView:
        counts = raw["request_counts"]
        return cls(
            id=raw["id"],
            name=raw.get("name") or "",
            kind=raw.get("kind") or "infer",
            state=JobState(raw["state"]),
            model=raw.get("model") or "",
            dataset=raw.get("dataset"),
            input=raw.get("input") or "voice",
            total=counts["total"],
            counts={state: counts.get(state.value, 0) for state in ItemState},
            rate_per_second=raw.get("rate_per_second"),
            eta_seconds=raw.get("eta_seconds"),
            created_at=raw.get("created_at") or "",
            errors=tuple(
                ErrorCount(one["code"], one["count"], one.get("example") or "")
                for one in raw.get("errors") or ()
            ),
            raw=raw,
        )

    @property
    def is_final(self) -> bool:
        return self.state in JOB_FINAL

    @property
    def with_face(self) -> int:
        return sum(self.counts[state] for state in ITEM_WITH_FACE)

    @property
    def finished(self) -> int:
        """Items that nobody works on or waits for any more."""
        return self.total - self.counts[ItemState.PENDING] - self.counts[ItemState.LEASED]


@dataclass(frozen=True)
class ItemView:
    id: int
    position: int
    key: str
    name: str
    state: ItemState
    error_code: str | None
    error_message: str | None
    attempts: int
    recording: str | None
    face_name: str | None
    face_url: str | None
    spectrogram_url: str | None
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def read(cls, raw: Mapping[str, Any]) -> ItemView:
        error = raw.get("error") or {}
        return cls(
            id=raw["id"],
            position=raw["position"],
            key=raw["key"],
            name=raw["name"],
            state=ItemState(raw["state"]),
            error_code=error.get("code"),
            error_message=error.get("message"),
            attempts=raw.get("attempts") or 0,
            recording=raw.get("recording"),
            face_name=raw.get("face_name") or None,
            face_url=raw.get("face_url"),
            spectrogram_url=raw.get("spectrogram_url"),
            raw=raw,
        )


@dataclass(frozen=True)
class ModelFileView:
    name: str
    size_bytes: int
    sha256: str
    url: str


@dataclass(frozen=True)
class ModelView:
    """A model version; its files are told only where one is asked for.

    `input` is what it draws from, `voice` or `face`; None where it draws nothing by itself.
    """

    label: str
    kind: str
    input: str | None
    aliases: tuple[str, ...]
    size_bytes: int
    created_at: str
    files: tuple[ModelFileView, ...]
    raw: Mapping[str, Any] = field(repr=False, compare=False)

    @classmethod
    def read(cls, raw: Mapping[str, Any]) -> ModelView:
        return cls(
            label=raw["label"],
            kind=raw.get("kind") or "",
            input=raw.get("input"),
            aliases=tuple(raw.get("aliases") or ()),
            size_bytes=raw.get("size_bytes") or 0,
            created_at=raw.get("created_at") or "",
            files=tuple(
                ModelFileView(file["name"], file["size_bytes"], file["sha256"], file["url"])
                for file in raw.get("files") or ()
            ),
            raw=raw,
        )


@dataclass(frozen=True)
class DatasetFileView:
    name: str
    size_bytes: int
    sha256: str
    url: str


@dataclass(frozen=True)
class DatasetView:
    """A dataset version; its files are told only where one is asked for."""

    label: str
    sha256: str
    size_bytes: int
    job: str
    summary: Mapping[str, Any]
    created_at: str
    files: tuple[DatasetFileView, ...]
    raw: Mapping[str, Any] = field(repr=False, compare=False)

    @classmethod
    def read(cls, raw: Mapping[str, Any]) -> DatasetView:
        return cls(
            label=raw["label"],
            sha256=raw["sha256"],
            size_bytes=raw["size_bytes"],
            job=raw["job"],
            summary=raw.get("summary") or {},
            created_at=raw.get("created_at") or "",
            files=tuple(
                DatasetFileView(file["name"], file["size_bytes"], file["sha256"], file["url"])
                for file in raw.get("files") or ()
            ),
            raw=raw,
        )


@dataclass(frozen=True)
class CollectionView:
    name: str
    files: int
    created_at: str
    pairs: int | None
    problem: str | None
    newest: tuple[str, ...]
    raw: Mapping[str, Any] = field(repr=False, compare=False)

    @classmethod
    def read(cls, raw: Mapping[str, Any]) -> CollectionView:
        return cls(
            name=raw["name"],
            files=raw["files"],
            created_at=raw.get("created_at") or "",
            pairs=raw.get("pairs"),
            problem=raw.get("problem"),
            newest=tuple(raw.get("newest") or ()),
            raw=raw,
        )


@dataclass(frozen=True)
class RunView:
    id: str
    fire_time: str
    why: str
    state: str
    sentence: str
    result: Mapping[str, Any]
    raw: Mapping[str, Any] = field(repr=False, compare=False)

    @classmethod
    def read(cls, raw: Mapping[str, Any]) -> RunView:
        return cls(
            id=raw["id"],
            fire_time=raw["fire_time"],
            why=raw["why"],
            state=raw["state"],
            sentence=raw["sentence"],
            result=raw.get("result") or {},
            raw=raw,
        )


@dataclass(frozen=True)
class ScheduleView:
    name: str
    when: str
    time_zone: str
    paused: bool
    next: tuple[Mapping[str, Any], ...]
    last_run: RunView | None
    runs: tuple[RunView, ...]
    secret: str | None
    raw: Mapping[str, Any] = field(repr=False, compare=False)

    @classmethod
    def read(cls, raw: Mapping[str, Any]) -> ScheduleView:
        last = raw.get("last_run")
        return cls(
            name=raw["name"],
            when=raw["when"],
            time_zone=raw["time_zone"],
            paused=raw.get("paused_at") is not None,
            next=tuple(raw.get("next") or ()),
            last_run=RunView.read(last) if last else None,
            runs=tuple(map(RunView.read, raw.get("runs") or ())),
            secret=raw.get("webhook_secret"),
            raw=raw,
        )
