"""What scripts take away of a job: tables, archives, sheets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from core.client.asking import Asking, given, place


class Results(Asking):
    """Streams come piece by piece, and work while the job runs."""

    def stream_results(self, job_id: str) -> Iterator[bytes]:
        """`results.csv`: a line for each item."""
        return self.stream(place("jobs", job_id, "results.csv"))

    def stream_jsonl(self, job_id: str) -> Iterator[bytes]:
        """The same as JSON lines."""
        return self.stream(place("jobs", job_id, "results.jsonl"))

    def stream_parquet(self, job_id: str) -> Iterator[bytes]:
        """The same as a Parquet file."""
        return self.stream(place("jobs", job_id, "results.parquet"))

    def stream_errors(self, job_id: str) -> Iterator[bytes]:
        """The lines that failed, and why, as JSON lines."""
        return self.stream(place("jobs", job_id, "errors.jsonl"))

    def stream_zip(
        self, job_id: str, *, state: str | None = None, favourites: bool | None = None
    ) -> Iterator[bytes]:
        """The faces so far, with `results.csv` and `manifest.json`."""
        wanted = given({"state": state, "favourites": favourites})
        return self._stream("GET", place("jobs", job_id, "faces.zip"), params=wanted)

    def stream_zip_of(self, job_id: str, items: Sequence[int]) -> Iterator[bytes]:
        """The same of some items, by id."""
        return self._stream("POST", place("jobs", job_id, "faces.zip"), json={"items": list(items)})

    def contact_sheet(self, job_id: str, **wanted: Any) -> bytes:
        """One page of the faces with their names, as PNG; `page`, `state`, `favourites`."""
        return self._bytes(place("jobs", job_id, "contact-sheet.png"), **wanted)

    def stream_contact_sheets(self, job_id: str, **wanted: Any) -> Iterator[bytes]:
        """The pages from `page` on as a PDF; `state`, `favourites`."""
        path = place("jobs", job_id, "contact-sheet.pdf")
        return self._stream("GET", path, params=given(wanted))

    def stream_contact_sheets_of(self, job_id: str, items: Sequence[int]) -> Iterator[bytes]:
        """A PDF of some items, by id; those without a face are left out."""
        path = place("jobs", job_id, "contact-sheet.pdf")
        return self._stream("POST", path, json={"items": list(items)})
