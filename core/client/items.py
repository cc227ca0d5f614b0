"""What scripts ask of the items of a job: their state, their pictures, their recording, their marks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from core.client import answers
from core.client.asking import Asking, given, json_of, place
from core.client_views import ItemView

_ITEMS_AT_ONCE = 500
_ALL = 2**63


class Items(Asking):
    def items(
        self,
        job_id: str,
        *,
        state: str | None = None,
        error_code: str | None = None,
        favourites: bool | None = None,
    ) -> Iterator[ItemView]:
        """Every item in the order of submission, read page by page.

        Args:
            state: only these, separated by commas.
            error_code: only what failed of this.
            favourites: only what has a star.
        """
        rows = self._rows(
            place("jobs", job_id, "items"),
            _ALL,
            cursor="after",
            at_once=_ITEMS_AT_ONCE,
            state=state,
            error_code=error_code,
            favourites=favourites,
        )
        return map(ItemView.read, rows)

    def item(self, job_id: str, item_id: int) -> ItemView:
        return ItemView.read(json_of(self._ask("GET", _item(job_id, item_id))))

    def anchors(
        self, job_id: str, *, every: int = 60, state: str | None = None, favourites: bool | None = None
    ) -> answers.Anchors:
        """How many items a filter leaves, and where each block of them begins."""
        wanted = given({"every": every, "state": state, "favourites": favourites})
        return self._read(answers.Anchors, "GET", place("jobs", job_id, "items", "anchors"), params=wanted)

    def item_ids(
        self,
        job_id: str,
        *,
        state: str | None = None,
        error_code: str | None = None,
        favourites: bool | None = None,
        noted: bool | None = None,
    ) -> list[int]:
        """The ids that a filter leaves, all at once."""
        wanted = given({"state": state, "error_code": error_code, "favourites": favourites, "noted": noted})
        path = place("jobs", job_id, "items", "ids")
        return self._read(answers.ItemIds, "GET", path, params=wanted)["data"]

    def mark_many(self, job_id: str, items: Sequence[int], *, favourite: bool) -> answers.Marked:
        """Gives many faces a star at once, or takes it away."""
        body = {"items": list(items), "favourite": favourite}
        return self._read(answers.Marked, "PUT", place("jobs", job_id, "marks"), json=body)

    def mark(
        self, job_id: str, item_id: int, *, favourite: bool | None = None, note: str | None = None
    ) -> answers.MarkView:
        """Gives a face a star or a note, or takes it away; None leaves it as it is."""
        change: dict[str, Any] = {} if favourite is None else {"favourite": favourite}
        change |= {} if note is None else {"note": note}
        return self._read(answers.MarkView, "PUT", _item(job_id, item_id, "mark"), json=change)

    def face_link(self, job_id: str, item_id: int) -> answers.FaceLink:
        """A link to the face that works for some minutes without signing in."""
        return self._read(answers.FaceLink, "POST", _item(job_id, item_id, "link"))

    def face(self, job_id: str, item_id: int) -> bytes:
        """PNG."""
        return self._bytes(_item(job_id, item_id, "face.png"))

    def thumbnail(self, job_id: str, item_id: int) -> bytes:
        """WebP; of early drawings the face itself, as PNG."""
        return self._bytes(_item(job_id, item_id, "thumbnail.webp"))

    def landmarks(self, job_id: str, item_id: int) -> answers.LandmarksView:
        """Where a face has its eyes, nose, mouth and jaw.

        Raises:
            NotFound: it has none: the model that drew it knows none.
        """
        return self._read(answers.LandmarksView, "GET", _item(job_id, item_id, "landmarks"))

    def spectrogram(self, job_id: str, item_id: int) -> bytes:
        """PNG: what the model heard, or the picture that it saw."""
        return self._bytes(_item(job_id, item_id, "spectrogram.png"))

    def stream_recording(self, job_id: str, item_id: int) -> Iterator[bytes]:
        """The recording as it was sent, piece by piece."""
        return self.stream(_item(job_id, item_id, "recording"))


def _item(job_id: str, item_id: int, *more: str) -> str:
    return place("jobs", job_id, "items", item_id, *more)
