"""What scripts ask of datasets, and of the collections that they are made of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from core.client import answers
from core.client.asking import LONG_TIMEOUTS, Asking, file_place, json_of, place
from core.client_views import CollectionView, DatasetView, JobView


class Datasets(Asking):
    def prepare_dataset(self, wanted: Mapping[str, Any], *, idempotency_key: str) -> JobView:
        """Asks for a dataset of files that were sent before (`core.datasets.requests.NewDataset`)."""
        headers = {"Idempotency-Key": idempotency_key}
        answer = self._ask(
            "POST", place("datasets"), json=dict(wanted), headers=headers, timeout=LONG_TIMEOUTS
        )
        return JobView.read(json_of(answer))

    def dataset(self, label: str) -> DatasetView:
        """A version by `name@version`, or the newest of a name, with its files."""
        return DatasetView.read(json_of(self._ask("GET", place("datasets", label))))

    def datasets(self, *, limit: int = 50) -> Iterator[DatasetView]:
        """The newest versions first, at most `limit` of them."""
        return map(DatasetView.read, self._rows(place("datasets"), limit))

    def stream_dataset_file(self, label: str, name: str) -> Iterator[bytes]:
        """A file of a version, such as `report.json` or `shards/00000.tar`, piece by piece."""
        return self.stream(file_place(name, "datasets", label, "files"))

    def collections(self) -> list[CollectionView]:
        """Those this user may see, by name."""
        rows = json_of(self._ask("GET", place("collections")))["data"]
        return [CollectionView.read(row) for row in rows]

    def collection(self, name: str, *, layout: str = "auto") -> CollectionView:
        """One collection, with its pairs counted."""
        answer = self._ask("GET", place("collections", name), params={"layout": layout})
        return CollectionView.read(json_of(answer))

    def make_collection(self, name: str) -> CollectionView:
        """Makes an empty one; what is there already stays as it is."""
        return CollectionView.read(json_of(self._ask("PUT", place("collections", name))))

    def add_to_collection(self, name: str, files: Sequence[tuple[str, str]]) -> answers.AddedFiles:
        """Adds files by path and SHA-256, sent before; answers how many are new and how many were known."""
        body = {"files": [{"path": path, "recording": sha256} for path, sha256 in files]}
        return self._read(answers.AddedFiles, "POST", place("collections", name, "files"), json=body)
