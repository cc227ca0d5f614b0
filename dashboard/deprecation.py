"""Routes that will go: each answer says since when it is not to be used any more, when it ends, and where to read on.

docs/upgrading.md has the rules; the headers are those of RFC 9745 (`Deprecation`) and RFC 8594 (`Sunset`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from email.utils import format_datetime
from typing import Any, TypeVar

from flask import Flask, Response, current_app, request

# Whoever looks at their logs twice a year has time to change.
SHORTEST_NOTICE = timedelta(days=180)
_MARK = "_voicesketch_deprecated"
View = TypeVar("View", bound=Callable[..., Any])


@dataclass(frozen=True)
class Deprecated:
    """
    Attributes:
        since: from when on another way is there and should be taken.
        until: on this day it may be gone.
        read: where that other way is written down.
    """

    since: date
    until: date
    read: str

    @property
    def headers(self) -> dict[str, str]:
        return {
            "Deprecation": f"@{int(_midnight(self.since).timestamp())}",
            "Sunset": format_datetime(_midnight(self.until), usegmt=True),
            "Link": f'<{self.read}>; rel="deprecation"; type="text/html"',
        }


def deprecated(*, since: date, until: date, read: str) -> Callable[[View], View]:
    """Marks a view function; it goes below the decorator that makes a route of it, which says `deprecated=True`.

    Raises:
        ValueError: that is less notice than the rules give.
    """
    if until - since < SHORTEST_NOTICE:
        raise ValueError(f"between {since} and {until} are less than {SHORTEST_NOTICE.days} days")

    def mark(view: View) -> View:
        setattr(view, _MARK, Deprecated(since, until, read))
        return view

    return mark


def deprecation_of(view: Callable[..., Any] | None) -> Deprecated | None:
    found = getattr(view, _MARK, None)
    return found if isinstance(found, Deprecated) else None


def attach(app: Flask) -> None:
    app.after_request(_add_headers)


def _add_headers(response: Response) -> Response:
    found = deprecation_of(current_app.view_functions.get(request.endpoint or ""))
    if found is not None:
        for name, value in found.headers.items():
            response.headers.add(name, value)
    return response


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
