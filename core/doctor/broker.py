"""The broker: whether it lets us in, and whether it keeps what it is given for as long as it runs.

That it forgets everything when it is restarted is no mistake: the ledger rings again.
"""

from __future__ import annotations

from typing import Any

import redis

from core.config import Settings
from core.doctor.findings import Finding

PART = "broker"
_PATIENCE_SECONDS = 3.0
_NEARLY_FULL = 0.9


def look(settings: Settings) -> list[Finding]:
    """Asks the broker itself."""
    try:
        client = redis.Redis.from_url(
            settings.broker_url.get_secret_value(),
            socket_timeout=_PATIENCE_SECONDS,
            socket_connect_timeout=_PATIENCE_SECONDS,
        )
    except ValueError:
        says = "VOICESKETCH_BROKER_URL is no address of a broker."
        return [Finding("broker_address", PART, says, "Write it as redis://user:password@host:6379/0.")]
    named = client.connection_pool.connection_kwargs
    where = f"{named.get('host', named.get('path', 'it'))}:{named.get('port', 6379)}"
    try:
        client.ping()
        told: Any = client.info("memory")
    except (redis.AuthenticationError, redis.exceptions.NoPermissionError, redis.ResponseError) as error:
        says = f"The broker at {where} does not let us in: {str(error).splitlines()[0]}."
        do = "Correct user and password in VOICESKETCH_BROKER_URL; we need all commands but the dangerous, and INFO."
        return [Finding("broker_refuses", PART, says, do)]
    except (redis.RedisError, OSError):
        says = f"Nobody answers at {where}."
        do = "See that Valkey or Redis runs there and VOICESKETCH_BROKER_URL names it. No work is lost meanwhile."
        return [Finding("broker_unreachable", PART, says, do)]
    finally:
        client.close()
    return memory(
        str(told.get("maxmemory_policy", "")), int(told.get("maxmemory", 0)), int(told.get("used_memory", 0))
    )


def memory(policy: str, most: int, used: int) -> list[Finding]:
    """Args:
    most: bytes that it may use; 0 for without limit.
    """
    if not most:
        return []
    if policy and policy != "noeviction":
        says = (
            f"The broker throws keys away when it is full (maxmemory-policy {policy}), doorbells among them."
        )
        do = "Set maxmemory-policy to noeviction; a broker of our own needs a few megabytes."
        return [Finding("broker_evicts", PART, says, do)]
    if used > _NEARLY_FULL * most:
        says = f"The broker uses {used / 2**20:,.0f} of {most / 2**20:,.0f} MiB; once it is full, it refuses to ring."
        return [Finding("broker_full", PART, says, "Raise maxmemory, and see who else writes to it.")]
    return []
