"""Who is there besides the workers: tickers and dashboards leave a note in the broker, and renew it while they work.

Workers are in the ledger, as they hold what must not be lost. Of the others nothing is held: their notes may vanish
with the broker, and are there again a few seconds after it is back. All times are the broker's own, so that no clock of
a host matters.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import os
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import redis

from core.code_identity import code_name
from core.config import Settings
from core.processes import host_identity

_NOTES = "voicesketch:presence"
RENEW_SECONDS = 5.0
LATELY_SECONDS = 30.0
_LOOK_AGAIN_SECONDS = 0.2  # a ticker that has just begun is soon through its first round
_FORGET_SECONDS = 3600.0
_PATIENCE_SECONDS = 2.0


@dataclass(frozen=True)
class Presence:
    """A ticker or a dashboard that did its work lately.

    Attributes:
        code: see `core.code_identity`.
        key: says which secret key it signs with, and nothing about the key itself.
    """

    part: str
    host: str
    pid: int
    code: str
    key: str


def me(part: str, settings: Settings) -> Presence:
    """This very process."""
    return Presence(
        part, host_identity(), os.getpid(), code_name(), fingerprint(settings.secret_key.get_secret_value())
    )


def fingerprint(secret: str) -> str:
    """Equal for equal secrets. Nothing is learnt of a long random secret from it."""
    signs = secret.strip().splitlines()[:1]  # further ones only verify what was signed before
    return hmac.new(signs[0].encode(), b"which key is it", hashlib.sha256).hexdigest()[:12] if signs else ""


def note(settings: Settings, presence: Presence) -> None:
    """Says that the process has just done its work.

    Raises:
        redis.RedisError: the broker does not take it.
    """
    with _client(settings) as client:
        at = _now(client)
        name = f"{presence.part}/{presence.host}/{presence.pid}"
        client.hset(_NOTES, name, json.dumps({**asdict(presence), "at": at}))


def present(settings: Settings, *, within_seconds: float = LATELY_SECONDS) -> list[Presence]:
    """Who left a note lately, by part and host.

    Raises:
        redis.RedisError: the broker does not answer.
    """
    with _client(settings) as client:
        at = _now(client)
        kept: dict[bytes, bytes] = client.hgetall(_NOTES)
        found, old = [], []
        for name, value in kept.items():
            try:
                told: dict[str, Any] = json.loads(value)
                silent = at - float(told.pop("at"))
                one = Presence(**told)
            except (ValueError, KeyError, TypeError):
                old.append(name)  # of a version that wrote something else
                continue
            if silent <= within_seconds:
                found.append(one)
            elif silent > _FORGET_SECONDS:
                old.append(name)
        if old:
            client.hdel(_NOTES, *old)
    return sorted(found, key=lambda one: (one.part, one.host, one.pid))


def keep_noting(settings: Settings, part: str, stop: threading.Event, works: Callable[[], bool]) -> None:
    """Leaves a note every few seconds until it is told to stop. Made for a thread; a broker that is away is no matter.

    Args:
        works: whether the process does its work; while it does not, nothing is noted.
    """
    presence = me(part, settings)
    while True:
        works_now = works()
        if works_now:
            # Whoever asks for notes finds out that the broker is away.
            with contextlib.suppress(redis.RedisError, OSError):
                note(settings, presence)
        if stop.wait(RENEW_SECONDS if works_now else _LOOK_AGAIN_SECONDS):
            return


def _client(settings: Settings) -> redis.Redis:
    return redis.Redis.from_url(
        settings.broker_url.get_secret_value(),
        socket_timeout=_PATIENCE_SECONDS,
        socket_connect_timeout=_PATIENCE_SECONDS,
    )


def _now(client: redis.Redis) -> float:
    seconds, microseconds = client.time()
    return float(seconds) + float(microseconds) / 1e6
