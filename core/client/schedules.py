"""What scripts ask of schedules and their runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.client import answers
from core.client.asking import Asking, given, json_of, place
from core.client_views import RunView, ScheduleView


class Schedules(Asking):
    def schedules(self, *, zone: str | None = None) -> list[ScheduleView]:
        """Every schedule, by name."""
        page = json_of(self._ask("GET", place("schedules"), params=given({"zone": zone})))
        return [ScheduleView.read(row) for row in page["data"]]

    def schedule(self, name: str, *, zone: str | None = None, limit: int = 20) -> ScheduleView:
        """One schedule with its newest runs."""
        return self._schedule("GET", place("schedules", name), params=given({"zone": zone, "limit": limit}))

    def preview_schedule(
        self, cron: str, *, time_zone: str = "UTC", zone: str | None = None
    ) -> answers.Preview:
        """What an expression says in words, and when it would fire."""
        body = {"cron": cron, "time_zone": time_zone, "zone": zone}
        return self._read(answers.Preview, "POST", place("schedules", "preview"), json=body)

    def create_schedule(self, wanted: Mapping[str, Any]) -> ScheduleView:
        """Makes a schedule (`core.schedules.specs.NewSchedule`); its secret is told this once."""
        return self._schedule("POST", place("schedules"), json=dict(wanted), once=True)

    def edit_schedule(self, name: str, change: Mapping[str, Any]) -> ScheduleView:
        """Changes what is given (`core.schedules.specs.ScheduleChange`)."""
        return self._schedule("PATCH", place("schedules", name), json=dict(change))

    def pause_schedule(self, name: str) -> ScheduleView:
        return self._schedule("POST", place("schedules", name, "pause"))

    def resume_schedule(self, name: str) -> ScheduleView:
        return self._schedule("POST", place("schedules", name, "resume"))

    def remove_schedule(self, name: str) -> None:
        self._ask("DELETE", place("schedules", name)).close()

    def change_schedule_secret(self, name: str) -> str:
        answer = self._ask("POST", place("schedules", name, "secret"), once=True)
        return str(json_of(answer)["webhook_secret"])

    def run_schedule(self, name: str, *, anyway: bool = False) -> RunView:
        """Begins a run now; `anyway` trains even where nothing is new."""
        return self._run("POST", place("schedules", name, "run"), json={"anyway": anyway}, once=True)

    def schedule_run(self, name: str, run_id: str) -> RunView:
        return self._run("GET", place("schedules", name, "runs", run_id))

    def cancel_run(self, name: str, run_id: str) -> RunView:
        return self._run("POST", place("schedules", name, "runs", run_id, "cancel"))

    def _schedule(self, method: str, path: str, **extra: Any) -> ScheduleView:
        return ScheduleView.read(json_of(self._ask(method, path, **extra)))

    def _run(self, method: str, path: str, **extra: Any) -> RunView:
        return RunView.read(json_of(self._ask(method, path, **extra)))
