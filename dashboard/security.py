"""What every answer and every request is held to: headers, trusted hosts, sizes, and proof that a form is ours."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

from flask import Flask, Response, current_app, g, request
from flask.json.provider import DefaultJSONProvider
from flask.typing import ResponseReturnValue
from flask_wtf.csrf import generate_csrf, validate_csrf
from werkzeug.exceptions import BadRequest, Forbidden, SecurityError
from werkzeug.middleware.proxy_fix import ProxyFix

from core.config import Settings

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
# A job of 100,000 lines with long keys, or a dataset of as many files; every other body is a form or a few words.
JOB_BODY_BYTES = 160 * 2**20
SMALL_BODY_BYTES = 1 * 2**20

_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "media-src 'self'",
        "font-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)


def policy_with(directive: str, source: str) -> str:
    """The policy of a page that also reaches one other place for one purpose."""
    return _POLICY.replace(f"{directive} 'self'", f"{directive} 'self' {source}")


class _Json(DefaultJSONProvider):
    def loads(self, s: str | bytes, **kwargs: Any) -> Any:
        try:
            return super().loads(s, **kwargs)
        except RecursionError as error:
            raise ValueError("It is nested too deeply.") from error


def configure(app: Flask, settings: Settings) -> None:
    app.json = _Json(app)
    if settings.trusted_proxies:
        # Only the address: which host and scheme we have, the settings say.
        app.wsgi_app = ProxyFix(  # type: ignore[method-assign]
            app.wsgi_app, x_for=settings.trusted_proxies, x_proto=0, x_host=0
        )
    public = urlsplit(settings.public_url)
    app.config.update(
        SECRET_KEY=settings.secret_keys[0],
        SECRET_KEY_FALLBACKS=settings.secret_keys[1:],
        TRUSTED_HOSTS=[host.strip() for host in settings.trusted_hosts.split(",") if host.strip()],
        # Browsers share cookies between the ports of a host; two places on one machine must not sign each other out.
        SESSION_COOKIE_NAME=f"voicesketch_{public.port or 'session'}",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=public.scheme == "https",
        # A cookie on every picture would keep it out of the browser's cache.
        SESSION_REFRESH_EACH_REQUEST=False,
        WTF_CSRF_TIME_LIMIT=None,  # a page may stay open for as long as its session lives
        MAX_CONTENT_LENGTH=SMALL_BODY_BYTES,
        MAX_FORM_MEMORY_SIZE=SMALL_BODY_BYTES,
    )


def refuse_strange_hosts() -> ResponseReturnValue | None:
    """Answers a wrong Host header before anything else looks at the request (DNS rebinding)."""
    if isinstance(request.routing_exception, SecurityError):
        # No page: addresses cannot be built for a host that is not ours.
        return Response(
            "This service does not answer to that host name (VOICESKETCH_TRUSTED_HOSTS).\n",
            400,
            mimetype="text/plain",
        )
    return None


def limit_body() -> None:
    """Sets how much of a body this route reads; a longer one is answered with 413."""
    if request.endpoint in ("jobs.create", "datasets.create", "collections.add"):
        request.max_content_length = JOB_BODY_BYTES
    elif request.endpoint in (
        "recordings.send",
        "models.send_file",
        "uploads.put_part",
        "uploads.send_archive",
        "sources.check",
    ):
        # Counted while it is read, by whoever takes it in. None would mean the small limit of all others.
        request.max_content_length = sys.maxsize


def csrf_token() -> str:
    """The token that the forms of this session carry."""
    return str(generate_csrf())


def refuse_forgeries() -> None:
    """Whatever changes something by cookie must show the session's own token; bearer tokens prove themselves."""
    # A token that is nobody's proves nothing: with it another site could sign its visitors in as somebody else.
    if request.method in _SAFE_METHODS or (g.by_token and g.user is not None):
        return
    if request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
        raise Forbidden("This request came from another site.")
    given = request.headers.get("X-CSRF-Token")
    if given is None and not request.path.startswith("/api/"):
        given = request.form.get("csrf_token")
    try:
        _validate(given)
    except ValueError as error:
        raise BadRequest(
            "The page was too old to be sent (its CSRF token is missing). Reload it and try again."
        ) from error


def _validate(given: str | None) -> None:
    """By any of the keys: a page that was open when they changed can still be sent."""
    keys = [current_app.config["SECRET_KEY"], *current_app.config["SECRET_KEY_FALLBACKS"]]
    for key in keys[:-1]:
        with suppress(ValueError):
            validate_csrf(given, secret_key=key)
            return
    validate_csrf(given, secret_key=keys[-1])


def forget_copies(response: Response) -> Response:
    """Has the browser throw away the faces and voices that it kept of this place; browsers heed it over HTTPS only."""
    response.headers["Clear-Site-Data"] = '"cache"'
    return response


def add_headers(response: Response) -> Response:
    headers = response.headers
    headers.setdefault("Content-Security-Policy", _POLICY)
    headers["X-Content-Type-Options"] = "nosniff"
    headers["X-Frame-Options"] = "DENY"
    headers["Referrer-Policy"] = "same-origin"
    headers["Cross-Origin-Opener-Policy"] = "same-origin"
    headers["Cross-Origin-Resource-Policy"] = "same-origin"
    headers["Permissions-Policy"] = "camera=(), microphone=(), geolocation=()"
    # Faces and voices are personal: what does not say otherwise is kept by nobody.
    headers.setdefault("Cache-Control", "no-store")
    return response
