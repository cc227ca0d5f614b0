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
