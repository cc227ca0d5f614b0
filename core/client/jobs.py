"""What scripts ask of jobs: making, finding, steering, and how they went."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from core.client import answers
from core.client.asking import Asking, given, json_of, place
from core.client_views import JobView
from core.specs import NewItem


class Jobs(Asking):
    def create_job(
        self,
        items: Sequence[NewItem] = (),
        *,
        idempotency_key: str,
        model: str | None = None,
        name: str = "",
        priority: int = 0,
        seed: int = 0,
        labels: Mapping[str, str] | None = None,
        webhook_url: str | None = None,
        source: Mapping[str, Any] | None = None,
    ) -> JobView:
        """Submits a job; sent twice with one key, it is made once.

        Args:
            webhook_url: told of its end; `raw["webhook_secret"]` of the answer signs the note.
            source: instead of items, where else its recordings come from, as the API describes it.
        """
        body: dict[str, Any] = {
            "kind": "infer",
            "name": name,
            "priority": priority,
            "seed": seed,
            "items": [item.model_dump(exclude_none=True) for item in items],
            "labels": dict(labels or {}),
        }
        extra = {"model": model, "webhook_url": webhook_url, "source": source and dict(source)}
        body |= {word: value for word, value in extra.items() if value is not None}
        return self._job("POST", place("jobs"), json=body, headers={"Idempotency-Key": idempotency_key})

    def job(self, job_id: str) -> JobView:
        return self._job("GET", place("jobs", job_id))

    def jobs(
        self,
        *,
        limit: int = 50,
        state: str | None = None,
        kind: str | None = None,
        search: str | None = None,
        owner: str | None = None,
        model: str | None = None,
        label: str | None = None,
        since: str | None = None,
        sort: str | None = None,
    ) -> Iterator[JobView]:
        """At most `limit` jobs, the newest first unless `sort` says otherwise.

        Args:
            state: one or several, separated by commas; so is `kind`.
            search: part of a name or a label, or the beginning of an id.
            label: `name=value`.
            since: a date or a time in ISO 8601.
            sort: `newest`, `oldest`, `name`, `largest` or `priority`.
        """
        rows = self._rows(
            place("jobs"),
            limit,
            state=state,
            kind=kind,
            q=search,
            owner=owner,
            model=model,
            label=label,
            since=since,
            sort=sort,
        )
        return map(JobView.read, rows)

    def cancel(self, job_id: str) -> JobView:
        return self._job("POST", place("jobs", job_id, "cancel"))

    def pause(self, job_id: str) -> JobView:
        return self._job("POST", place("jobs", job_id, "pause"))

    def resume(self, job_id: str) -> JobView:
        return self._job("POST", place("jobs", job_id, "resume"))

    def retry(
        self,
        job_id: str,
        which: str = "failed",
        *,
        items: Sequence[int] | None = None,
        error_code: str | None = None,
    ) -> tuple[int, JobView]:
        """Puts `failed`, `cancelled` or `unfinished` items back in the queue; answers how many.

        Args:
            items: only these of them, by id.
            error_code: only those that failed of this.
        """
        body: dict[str, Any] = {"which": which}
        body |= {} if items is None else {"items": list(items)}
        body |= {} if error_code is None else {"error_code": error_code}
        answer = json_of(self._ask("POST", place("jobs", job_id, "retry"), json=body))
        return int(answer["retried"]), JobView.read(answer["job"])

    def steer(self, job_ids: Sequence[str], action: str, *, label: str = "") -> list[answers.SteeredView]:
        """Does the same to up to 200 jobs; what is refused for one is told for that one.

        Args:
            action: `pause`, `resume`, `cancel`, `retry`, `label` or `unlabel`.
            label: `name=value` to put on, the name to take off.
        """
        body = {"jobs": list(job_ids), "action": action, "label": label}
        return self._read(answers.SteeredList, "POST", place("jobs", "steer"), json=body)["data"]

    def set_priority(self, job_id: str, priority: int) -> JobView:
        """Changes when a job has its turn, at the next claim."""
        return self._job("POST", place("jobs", job_id, "priority"), json={"priority": priority})

    def rerun(
        self,
        job_id: str,
        *,
        model: str = "production",
        which: str = "missing",
        items: Sequence[int] | None = None,
        error_code: str | None = None,
        name: str = "",
        dry_run: bool = False,
    ) -> answers.RerunView:
        """Makes a job over recordings of this one with another model.

        Args:
            which: `missing` (what the model has not drawn), `failed` or `all`.
            items: only these of them, by id.
            error_code: only what failed of this in the job.
        """
        body: dict[str, Any] = {"model": model, "which": which, "name": name, "dry_run": dry_run}
        body |= {} if items is None else {"items": list(items)}
        body |= {} if error_code is None else {"error_code": error_code}
        return self._read(answers.RerunView, "POST", place("jobs", job_id, "rerun"), json=body, once=True)

    def estimate(
        self,
        items: int,
        *,
        model: str | None = None,
        priority: int | None = None,
        size_bytes: int | None = None,
    ) -> answers.EstimateView:
        """How long a job of so many recordings would take, and whether it would be refused.

        Args:
            size_bytes: of those that are still to be sent.
        """
        wanted = given({"items": items, "model": model, "priority": priority, "bytes": size_bytes})
        return self._read(answers.EstimateView, "GET", place("estimate"), params=wanted)

    def timeline(self, job_id: str) -> list[answers.JobMoveView]:
        """The moves of the job itself, oldest first."""
        return self._read(answers.TimelineView, "GET", place("jobs", job_id, "timeline"))["data"]

    def throughput(self, job_id: str) -> answers.ThroughputView:
        """Items brought to an end over time."""
        return self._read(answers.ThroughputView, "GET", place("jobs", job_id, "throughput"))

    def partners(self, job_id: str) -> list[answers.JobView]:
        """Jobs over the same recordings, which this one can be compared with."""
        return self._read(answers.PartnerList, "GET", place("jobs", job_id, "comparison"))["data"]

    def comparison(self, job_id: str, other_id: str, *, shown: str = "common") -> Iterator[answers.PairView]:
        """The recordings that two jobs share, each as an item of both, in the order of the first.

        Args:
            shown: `common`, `faces` (both have a face) or `one_face` (only one has).
        """
        after: int | None = -1
        while after is not None:
            wanted = {"after": after, "limit": 200, "shown": shown}
            path = place("jobs", job_id, "comparison", other_id)
            # A page may be empty and still have one behind it.
            page = self._read(answers.ComparisonPage, "GET", path, params=wanted)
            yield from page["data"]
            after = page["next"]

    def webhook(self, job_id: str) -> answers.WebhookView:
        """Where the end of a job is told, and how the notes about it fared."""
        return self._read(answers.WebhookView, "GET", place("jobs", job_id, "webhook"))

    def _job(self, method: str, path: str, **extra: Any) -> JobView:
        return JobView.read(json_of(self._ask(method, path, **extra)))
