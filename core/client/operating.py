"""What scripts ask of the place itself: workers, queues, storage, health."""

from __future__ import annotations

from core.client import answers
from core.client.asking import Asking, place


class Operating(Asking):
    def workers(self) -> list[answers.WorkerView]:
        """Workers that are there, and those that left within the hour."""
        return self._read(answers.WorkerList, "GET", place("workers"))["data"]

    def drain(self, worker_id: str) -> answers.WorkerView:
        """Lets a worker finish what it holds and claim nothing more."""
        return self._read(answers.WorkerView, "POST", place("workers", worker_id, "drain"))

    def undrain(self, worker_id: str) -> answers.WorkerView:
        """Lets a drained worker claim again."""
        return self._read(answers.WorkerView, "POST", place("workers", worker_id, "undrain"))

    def queues(self) -> list[answers.QueueView]:
        """How much waits in each queue and for how long, and who serves it."""
        return self._read(answers.QueueList, "GET", place("queues"))["data"]

    def storage(self) -> answers.StorageView:
        """Bytes and counts of each kind of thing that is stored."""
        return self._read(answers.StorageView, "GET", place("storage"))

    def health(self) -> answers.HealthView:
        """What every part answers, and how fast."""
        return self._read(answers.HealthView, "GET", place("health"))

    def retention(self) -> list[answers.RuleView]:
        """The rules of how long things are kept."""
        return self._read(answers.RuleList, "GET", place("retention"))["data"]

    def keep(self, kind: answers.Kept, days: int | None, *, scope: str = "") -> answers.RuleView:
        """Says how many days after the end of a job things stay; None keeps them for good.

        Args:
            scope: all jobs where it is empty; those with a label (`name=value`), or one job, by its id.
        """
        wanted = {"days": days, "scope": scope}
        return self._read(answers.RuleView, "PUT", place("retention", kind), json=wanted)

    def remove_rule(self, kind: answers.Kept, *, scope: str = "") -> None:
        """Takes a rule back."""
        self._ask("DELETE", place("retention", kind), params={"scope": scope})

    def preview_purge(self) -> list[answers.GoingView]:
        """What the rules would remove now."""
        return self._read(answers.GoingList, "GET", place("retention", "preview"))["data"]

    def purge(self) -> answers.PurgedView:
        """Removes what is due, as much as fits in a request: `finished` says whether that was all."""
        return self._read(answers.PurgedView, "POST", place("retention", "purge"))

    def erase(
        self, user: str | None = None, *, dry_run: bool = True, confirm: str | None = None
    ) -> answers.ErasureView:
        """Deletes all data of somebody, yourself when left out, as much as fits in a request.

        Args:
            confirm: the user's name, unless it is a dry run.
        """
        wanted = {"user": user, "dry_run": dry_run, "confirm": confirm}
        return self._read(answers.ErasureView, "POST", place("erasure"), json=wanted)
