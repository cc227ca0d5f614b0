"""Who is asking: a person with a session cookie, or a script with a bearer token.

A page or route is closed unless its endpoint is listed in `_OPEN`, so that a new one cannot be left open by
forgetting something. A request with an `Authorization` header is judged by it alone; its cookie is not looked at.
"""

from __future__ import annotations

from flask import g, redirect, request, session, url_for
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import Unauthorized

from core.accounts import user_of_token
from core.tables import User
from dashboard.services import services

_OPEN = frozenset(
    {
        "static",
        "health.healthz",
        "openapi.openapi_json",
        "sign_in.ask",
        "sign_in.confirm",
        "sign_in.redeem",
        "sign_in.sign_out",
    }
)
_USER = "user_id"


def require_identity() -> ResponseReturnValue | None:
    """Runs before every request; refuses, or sends to the sign-in page, whoever is nobody."""
    g.user = _from_header() if "Authorization" in request.headers else _from_cookie()
    g.by_token = "Authorization" in request.headers
    if g.user is not None or request.endpoint in _OPEN:
        return None
    if request.endpoint is None and not request.path.startswith("/api/"):
        return None  # becomes the 404 page, which shows nothing of anybody
    if request.path.startswith("/api/"):
        raise Unauthorized("Send a token as `Authorization: Bearer vs_…`, or sign in.")
    return redirect(url_for("sign_in.ask"), 303)


def sign_in(user: User) -> None:
    """Starts a fresh session, so that nothing prepared before signing in is carried over."""
    session.clear()
    session.permanent = True
    session[_USER] = user.id


def sign_out() -> None:
    session.clear()


def viewer() -> User:
    """The user of this request, on routes that are not open."""
    if g.user is None:
        raise Unauthorized("Sign in first.")
    user: User = g.user
    return user


def viewer_or_none() -> User | None:
    found: User | None = g.get("user")
    return found


def _from_header() -> User | None:
    scheme, _, token = request.headers["Authorization"].partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        return None
    with services().database.read() as database:
        return user_of_token(database, token.strip())


def _from_cookie() -> User | None:
    if request.endpoint in ("static", "health.healthz") or (user_id := session.get(_USER)) is None:
        return None
    with services().database.read() as database:
        user = database.get(User, user_id)
    return user if user is not None and user.disabled_at is None else None
