"""What the gallery of a job shows at an address: which of its items, and the tiles of one block of them.

The first block is served with the page, and the others alone, by one template; `js/gallery.js` asks for those in view.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlencode

from flask import request
from sqlalchemy.orm import Session

from core.errors import InvalidRequest
from core.faces.marks import count_favourites, marks_of
from core.ledger.tables import Job
from core.narrowing import Narrowed
from core.queries import ItemRow, items_page
from core.states import ITEM_WITH_FACE, ItemState
from dashboard.identity import viewer
from dashboard.permissions import may_change

TILES_AT_ONCE = 60
LONGEST_CODE = 40

# What the gallery can be narrowed to.
SHOWN: dict[str, frozenset[ItemState]] = {
    "all": frozenset(),
    "faces": ITEM_WITH_FACE,
    "failed": frozenset({ItemState.FAILED}),
    "waiting": frozenset({ItemState.PENDING, ItemState.LEASED}),
    "cancelled": frozenset({ItemState.CANCELLED, ItemState.SKIPPED}),
}


@dataclass(frozen=True)
class View:
    """A gallery as its address says it.

    Attributes:
        shown: a key of `SHOWN`.
    """

    shown: str = "all"
    error_code: str | None = None
    favourites: bool = False
    noted: bool = False

    @property
    def narrowed(self) -> Narrowed:
        return Narrowed(SHOWN[self.shown], self.error_code, self.favourites, self.noted)

    @property
    def api_query(self) -> str:
        """The same as a query of the API."""
        said = {
            "state": ",".join(sorted(SHOWN[self.shown])),
            "error_code": self.error_code,
            "favourites": "true" if self.favourites else None,
            "noted": "true" if self.noted else None,
        }
        return urlencode({name: value for name, value in said.items() if value})

    def address(self, **changed: object) -> dict[str, object]:
        """What of it stands in the address, some of it changed; for `url_for`."""
        said = {
            "show": self.shown,
            "error_code": self.error_code,
            "favourites": self.favourites,
            "noted": self.noted,
        } | changed
        if said["show"] == "all":
            said["show"] = None
        return {name: "1" if value is True else value for name, value in said.items() if value}


def asked_view() -> View:
    """The view that the request's address asks for; words that mean nothing are left out."""
    shown = request.args.get("show", "all")
    return View(
        shown=shown if shown in SHOWN else "all",
        error_code=request.args.get("error_code", "")[:LONGEST_CODE] or None,
        favourites="favourites" in request.args,
        noted="noted" in request.args,
    )


def whole(session: Session, job: Job, view: View) -> dict[str, object]:
    """What `jobs/_gallery.html` needs, its first block with it."""
    return {
        **block(session, job, view),
        "favourite_count": count_favourites(session, job.id),
    }


def block(session: Session, job: Job, view: View) -> dict[str, object]:
    """What `jobs/_tiles.html` needs, from the position on that the address names."""
    after = request.args.get("after", "")
    rows = items_page(
        session,
        job.id,
        after=int(after) if after.isascii() and after.isdigit() and len(after) < 10 else -1,
        limit=TILES_AT_ONCE + 1,
        only=view.narrowed.clause(job.id),
    )
    page = rows[:TILES_AT_ONCE]
    following = page[-1].position if len(rows) > TILES_AT_ONCE else None
    return {**some(session, job, page), "next": following, "view": view, "shown": view.shown}


def some(session: Session, job: Job, rows: list[ItemRow]) -> dict[str, object]:
    """What `jobs/_tiles.html` needs for given items, and nothing behind them."""
    return {
        "job": job,
        "rows": rows,
        "next": None,
        "marks": marks_of(session, [row.id for row in rows]),
        "may_mark": may_change(viewer(), job),
    }


def chosen_ids(written: str, most: int) -> list[int]:
    """Ids as a form of the gallery writes them: numbers and ranges, such as `4,9-30`.

    Raises:
        InvalidRequest: it is something else, or more than `most`.
    """
    ids: list[int] = []
    for part in written.split(",") if written else ():
        first, dash, last = part.partition("-")
        if not all(word.isascii() and word.isdigit() and len(word) < 19 for word in (first, last or first)):
            raise InvalidRequest("The chosen items should be numbers and ranges of them, such as 4,9-30.")
        low, high = int(first), int(last) if dash else int(first)
        if high - low >= most or len(ids) + max(0, high - low) >= most:
            raise InvalidRequest(f"At most {most:,} items can be chosen at once.")
        ids += range(low, high + 1)
    if not ids:
        raise InvalidRequest("Nothing was chosen.")
    return ids
