"""Where somebody wanted to go before they had to sign in, so that a link that was sent to them leads there after all.

What is asked for stands in the address of the sign-in page, which anybody can write: it is taken only as the path of a
page of this place, so that no link to us leads elsewhere.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from flask import current_app, request, session, url_for
from werkzeug.exceptions import HTTPException

_KEPT = "way_back"
_LONGEST = 2000
_NO_PAGES = ("/api/", "/static/", "/sign-in", "/sign-out")
_FIRST = ("/", "/jobs")  # where signing in leads anyway


def wanted() -> str | None:
    """The page that this request asks for or, where it sends a form, the one that the form stands on."""
    if request.method == "GET":
        return checked(request.full_path.removesuffix("?"))
    stood = urlsplit(request.referrer or "")
    if stood.netloc != request.host:
        return None
    return checked(f"{stood.path}?{stood.query}".removesuffix("?"))


def checked(path: str | None) -> str | None:
    """A path, perhaps with a query and a fragment, if it is one of a page of ours; None for anything else."""
    if not path or len(path) > _LONGEST or not path.isprintable() or "\\" in path:
        return None
    if path in _FIRST or not path.startswith("/") or path.startswith(("//", *_NO_PAGES)):
        return None
    urls = current_app.url_map.bind(request.host)
    try:
        urls.match(urlsplit(path).path, "GET")
    except (HTTPException, ValueError):
        return None
    return path


def keep(path: str | None) -> None:
    """Remembers it over ways in that leave this page: a sign-in service, or a one-time link."""
    if path is None:
        session.pop(_KEPT, None)
    else:
        session[_KEPT] = path


def kept() -> str | None:
    return checked(session.get(_KEPT))


def leading(path: str | None) -> str:
    """The address to go to after signing in."""
    return path or url_for("job_list.show")
