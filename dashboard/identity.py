"""Who is asking: a person with a session cookie, or a script with a bearer token.

A page or route is closed unless its endpoint is listed in `_OPEN`, so that a new one cannot be left open by
forgetting something. A request with an `Authorization` header is judged by it alone; its cookie is not looked at.
"""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import datetime

from flask import g, redirect, request, session, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.exc import DBAPIError
from werkzeug.exceptions import Forbidden, Unauthorized

from core.ledger.database import now
from core.ledger.tables import User
from core.people.tokens import holder_of_token, note_use, role_level, scope_level
from dashboard import way_back
from dashboard.api.blueprint import PREFIX
from dashboard.api.scopes import may_only_ask
from dashboard.services import services

_OPEN = frozenset(
    {
        "static",
        "script_words",
        "health.healthz",
        "health.readyz",
        "openapi.openapi_json",
        "sign_in.ask",
        "sign_in.by_password",
        "sign_in.confirm",
        "sign_in.go_to_provider",
        "sign_in.come_back",
        "sign_in.redeem",
        "sign_in.sign_out",
    }
)
_USER = "user_id"
_AT = "signed_in_at"
_BY = "signed_in_by"
_NAMED = re.compile(r"<(?:[^:<>]+:)?(\w+)>")
_READING = frozenset({"GET", "HEAD", "OPTIONS"})
_NO_CEILING = scope_level(None)


def identify() -> None:
    """Runs before every request; finds out who asks, and refuses nobody yet."""
    g.ceiling = _NO_CEILING
    g.by_token = "Authorization" in request.headers
    g.user = _from_header() if g.by_token else _from_cookie()


def require_identity() -> ResponseReturnValue | None:
    """Runs before every request; refuses, or sends to the sign-in page, whoever is nobody."""
    if g.user is not None and g.ceiling == 0 and not _reads():
        # Here and not in each route, so that none can be left open to a token that only reads.
        raise Forbidden("This token may only read. Make one with the scope submit for this.")
    if g.user is not None or request.endpoint in _OPEN:
        return None
    if request.endpoint is None and not request.path.startswith("/api/"):
        return None  # becomes the 404 page, which shows nothing of anybody
    if request.path.startswith("/api/") or request.endpoint == "metrics.metrics":
        raise Unauthorized("Send a token as `Authorization: Bearer vs_…`, or sign in.")
    if _is_for_a_script():
        raise Unauthorized("You were signed out. Sign in again.")
    unsent = None if request.method in _READING else "1"
    return redirect(url_for("sign_in.ask", next=way_back.wanted(), unsent=unsent), 303)


def _is_for_a_script() -> bool:
    """Whether a script of a page asks for a piece of it, and would put a sign-in page in its place."""
    return "HX-Request" in request.headers or request.headers.get("Sec-Fetch-Dest") == "empty"


def _reads() -> bool:
    """Whether this request changes nothing, by its method or by its route."""
    if request.method in _READING:
        return True
    rule = request.url_rule.rule if request.url_rule is not None else ""
    path = _NAMED.sub(r"{\1}", rule.removeprefix(PREFIX))
    return rule.startswith(PREFIX) and may_only_ask(request.method, path)


def sign_in(user: User, by: str, at: datetime | None = None) -> None:
    """Starts a fresh session, so that nothing prepared before signing in is carried over.

    Args:
        by: `link`, `password` or `provider`.
        at: when, by the ledger's clock; now, unless given.
    """
    if at is None:
        with services().database.read() as database:
            at = now(database)
    session.clear()
    session.permanent = True
    session[_USER] = user.id
    session[_AT] = at.isoformat()
    session[_BY] = by


def came_by_link() -> bool:
    """Whether this session began with a one-time link, which is as good a proof as the password."""
    return not g.by_token and session.get(_BY) == "link"


def ceiling() -> int:
    """How far this request reaches, whoever asks: 3 (admin), or less by a token of a narrower scope."""
    reach: int = g.get("ceiling", _NO_CEILING)
    return reach


def token_until() -> datetime | None:
    """When the token of this request ends; None where it has no end, or there is none."""
    until: datetime | None = g.get("token_until")
    return until


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
    database = services().database
    with database.read() as reading:
        holder = holder_of_token(reading, token.strip())
        if holder is None:
            return None
        at = now(reading)
    with suppress(DBAPIError):  # a ledger that cannot be written just now can still be read
        note_use(database, holder.token, at)
    g.ceiling = scope_level(holder.token.scopes)
    g.token_id = holder.token.id
    g.token_until = holder.token.expires_at
    return holder.user


def _from_cookie() -> User | None:
    if (
        request.endpoint in ("static", "health.healthz", "health.readyz")
        or (user_id := session.get(_USER)) is None
    ):
        return None
    with services().database.read() as database:
        user = database.get(User, user_id)
    return user if user is not None and user.disabled_at is None and _is_current(user) else None


def _is_current(user: User) -> bool:
    """Whether the session is younger than the user's last change of password."""
    if user.sessions_from is None:
        return True
    try:
        return datetime.fromisoformat(session[_AT]) >= user.sessions_from
    except (KeyError, TypeError, ValueError):
        return False  # begun before sessions knew when


def renew(user: User, at: datetime) -> None:
    """Lets this session go on after all older ones were ended; requests by token have none."""
    if not g.by_token:
        sign_in(user, "password", at)


def role_reach(user: User) -> int:
    """How far a user's role reaches, whatever the token of this request."""
    return role_level(user.role)
