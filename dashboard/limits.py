"""How often anybody may ask: each token, each person, and each address that has shown neither; signing in more rarely.

The counts lie in the broker, so that all processes of the dashboard count together. While it is away, each process
counts in its own memory: people go on working, and nobody may ask without end.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable

from flask import Flask, Response, g, request
from flask_limiter import ApplicationLimit, Limiter, RequestLimit

from core.config import Settings
from dashboard.identity import viewer_or_none
from dashboard.problems import refusal

# What a load balancer asks, and what browsers keep.
_FREE = frozenset({"health.healthz", "health.readyz", "static", "script_words"})
_SIGN_IN = frozenset({"sign_in.by_password", "sign_in.redeem", "sign_in.come_back"})
_PATIENCE_SECONDS = 1


def attach(app: Flask, settings: Settings) -> None:
    """Counts every request from here on; call it after what finds out who asks, and before what refuses them."""
    # It logs every wait of everybody at level info; only trouble is of interest.
    logging.getLogger("flask-limiter").setLevel(logging.WARNING)
    limits: list[str | Callable[[], str] | ApplicationLimit] = []
    if settings.requests_per_minute:
        limits.append(_limit(settings.requests_per_minute, "all", _asker, lambda: request.endpoint in _FREE))
    if settings.sign_ins_per_minute:
        limits.append(
            _limit(
                settings.sign_ins_per_minute, "sign-in", _address, lambda: not is_sign_in(request.endpoint)
            )
        )
    Limiter(
        _asker,
        app=app,
        application_limits=limits,
        enabled=bool(limits),
        key_prefix="voicesketch",
        strategy="sliding-window-counter",
        storage_uri=settings.broker_url.get_secret_value(),
        storage_options={"socket_connect_timeout": _PATIENCE_SECONDS, "socket_timeout": _PATIENCE_SECONDS},
        in_memory_fallback_enabled=True,
        swallow_errors=True,
    )


def is_sign_in(endpoint: str | None) -> bool:
    """Whether a route tries a password or a link."""
    return endpoint in _SIGN_IN


def _limit(count: int, scope: str, key: Callable[[], str], exempt: Callable[[], bool]) -> ApplicationLimit:
    return ApplicationLimit(
        f"{count}/minute", key_function=key, scope=scope, exempt_when=exempt, on_breach=_refuse
    )


def _asker() -> str:
    """Tokens count each for themselves, so that a script that runs wild does not keep its owner out."""
    if g.get("token_id"):
        return f"token:{g.token_id}"
    user = viewer_or_none()
    return f"user:{user.id}" if user is not None else _address()


def _address() -> str:
    return f"address:{request.remote_addr}"


def _refuse(breached: RequestLimit) -> Response:
    seconds = min(max(1, math.ceil(breached.reset_at - time.time())), 60)
    response = refusal(
        429,
        f"More than {breached.limit.amount:,} requests within a minute are too many. "
        f"Try again in {seconds} seconds.",
    )
    response.headers["Retry-After"] = str(seconds)
    return response
