"""What scripts ask of trainings, evaluations and analyses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from core.client import answers
from core.client.asking import Asking, file_place, given, json_of, place
from core.client_views import JobView


class Programs(Asking):
    def train(self, wanted: Mapping[str, Any], *, idempotency_key: str) -> JobView:
        """Asks for a training: the fields of `core.training.specs.TrainSpec`, with `name` and `priority`."""
        return self._program("trainings", wanted, idempotency_key)

    def evaluate(self, wanted: Mapping[str, Any], *, idempotency_key: str) -> JobView:
        """Asks for an evaluation: the fields of `EvaluateSpec`, with `name` and `priority`."""
        return self._program("evaluations", wanted, idempotency_key)

    def analyse(self, wanted: Mapping[str, Any], *, idempotency_key: str) -> JobView:
        """Asks for an analysis: the fields of `AnalyseSpec`, with `name` and `priority`."""
        return self._program("analyses", wanted, idempotency_key)

    def check_training(self, wanted: Mapping[str, Any]) -> dict[str, Any]:
        """What would keep a training from being started: `ok`, `problems`, and the whole `spec` if nothing does."""
        return self._read(dict[str, Any], "POST", place("trainings", "check"), json=dict(wanted))

    def training_presets(self) -> list[answers.PresetView]:
        """Recipes to start from, by `name`."""
        return self._read(answers.PresetList, "GET", place("trainings", "presets"))["data"]

    def again(self, job_id: str, *, idempotency_key: str) -> JobView:
        """Starts a training, evaluation or analysis over, as a new job."""
        headers = {"Idempotency-Key": idempotency_key}
        return JobView.read(json_of(self._ask("POST", place("jobs", job_id, "again"), headers=headers)))

    def training(self, job_id: str) -> dict[str, Any]:
        """Where the program of a job stands, and what it ended with."""
        return self._read(dict[str, Any], "GET", place("jobs", job_id, "training"))

    def curves(self, job_id: str, *, after: int = -1, points: int | None = None) -> dict[str, Any]:
        """Points of all curves behind a step; of each curve about `points` at most."""
        wanted = given({"after": after, "points": points})
        return self._read(dict[str, Any], "GET", place("jobs", job_id, "curves"), params=wanted)

    def log(self, job_id: str, *, after: int | None = None, limit: int | None = None) -> answers.LogView:
        """The last lines of a job's log, oldest first, or those behind `after`, the `next` of the answer before."""
        wanted = given({"after": after, "limit": limit})
        return self._read(answers.LogView, "GET", place("jobs", job_id, "log"), params=wanted)

    def job_files(self, job_id: str, *, kind: str | None = None) -> list[answers.JobFileView]:
        """What a program left so far; `kind` narrows it to kinds, separated by commas."""
        wanted = given({"kind": kind})
        return self._read(answers.JobFileList, "GET", place("jobs", job_id, "files"), params=wanted)["data"]

    def stream_job_file(self, job_id: str, name: str) -> Iterator[bytes]:
        """One of them, piece by piece."""
        return self.stream(file_place(name, "jobs", job_id, "files"))

    def stream_job_files(self, job_id: str, *, kind: str | None = None) -> Iterator[bytes]:
        """All of them, or those of some kinds, as a ZIP."""
        return self._stream("GET", place("jobs", job_id, "files.zip"), params=given({"kind": kind}))

    def _program(self, what: str, wanted: Mapping[str, Any], key: str) -> JobView:
        headers = {"Idempotency-Key": key}
        return JobView.read(json_of(self._ask("POST", place(what), json=dict(wanted), headers=headers)))
