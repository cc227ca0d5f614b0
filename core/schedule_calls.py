"""What the client asks of collections and schedules. Apart from `core/client.py`, which gives its way of asking."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import quote

import requests


class Asks(Protocol):
    """Whatever asks the service: `core.client.Client`."""

    def _ask(self, method: str, address: str, **extra: Any) -> requests.Response: ...


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


class ScheduleCalls:
    """Methods of the client about collections and schedules; errors are those of `core.client.Client`."""

    def collections(self: Asks) -> list[CollectionView]:
        """Those this user may see, by name."""
        page = self._ask("GET", "/api/v1/collections").json()
        return [CollectionView.read(raw) for raw in page["data"]]

    def collection(self: Asks, name: str, *, layout: str = "auto") -> CollectionView:
        """One collection, with its pairs counted."""
        path = f"/api/v1/collections/{quote(name, safe='')}"
        return CollectionView.read(self._ask("GET", path, params={"layout": layout}).json())

    def add_to_collection(self: Asks, name: str, files: Sequence[tuple[str, str]]) -> Mapping[str, Any]:
        """Adds files by path and SHA-256, sent before; answers how many are new and how many were known."""
        path = f"/api/v1/collections/{quote(name, safe='')}/files"
        body = {"files": [{"path": place, "recording": sha256} for place, sha256 in files]}
        answer: Mapping[str, Any] = self._ask("POST", path, json=body).json()
        return answer

    def schedules(self: Asks, *, zone: str | None = None) -> list[ScheduleView]:
        """Every schedule, by name."""
        page = self._ask("GET", "/api/v1/schedules", params={"zone": zone} if zone else {}).json()
        return [ScheduleView.read(raw) for raw in page["data"]]

    def schedule(self: Asks, name: str, *, zone: str | None = None, limit: int = 20) -> ScheduleView:
        """One schedule with its newest runs."""
        params: dict[str, str | int] = {"limit": limit, **({"zone": zone} if zone else {})}
        return ScheduleView.read(self._ask("GET", _path(name), params=params).json())

    def create_schedule(self: Asks, wanted: Mapping[str, Any]) -> ScheduleView:
        """Makes a schedule (`core.schedule_specs.NewSchedule`); its secret is told this once."""
        return ScheduleView.read(self._ask("POST", "/api/v1/schedules", json=dict(wanted)).json())

    def edit_schedule(self: Asks, name: str, change: Mapping[str, Any]) -> ScheduleView:
        """Changes what is given (`core.schedule_specs.ScheduleChange`)."""
        return ScheduleView.read(self._ask("PATCH", _path(name), json=dict(change)).json())

    def pause_schedule(self: Asks, name: str) -> ScheduleView:
        return ScheduleView.read(self._ask("POST", _path(name, "pause")).json())

    def resume_schedule(self: Asks, name: str) -> ScheduleView:
        return ScheduleView.read(self._ask("POST", _path(name, "resume")).json())

    def run_schedule(self: Asks, name: str, *, anyway: bool = False) -> RunView:
        """Begins a run now; `anyway` trains even where nothing is new."""
        return RunView.read(self._ask("POST", _path(name, "run"), json={"anyway": anyway}).json())

    def cancel_run(self: Asks, name: str, run_id: str) -> RunView:
        path = _path(name, "runs", quote(run_id, safe=""), "cancel")
        return RunView.read(self._ask("POST", path).json())

    def change_schedule_secret(self: Asks, name: str) -> str:
        return str(self._ask("POST", _path(name, "secret")).json()["webhook_secret"])

    def remove_schedule(self: Asks, name: str) -> None:
        self._ask("DELETE", _path(name)).close()


def _path(name: str, *more: str) -> str:
    return "/".join((f"/api/v1/schedules/{quote(name, safe='')}", *more))
