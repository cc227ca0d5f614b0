"""What the client asks of the registry: moves of aliases, deletions, and what is known of a version.

Apart from `core/client.py`, which gives its way of asking. Answers are those of the API v1.
"""

from __future__ import annotations

from typing import Any, Protocol
from urllib.parse import quote

import requests


class Asks(Protocol):
    """Whatever asks the service: `core.client.Client`."""

    def _ask(self, method: str, address: str, **extra: Any) -> requests.Response: ...


class Registry:
    """The registry behind a client. Raises as the client does."""

    def __init__(self, client: Asks) -> None:
        self._client = client

    def promote(self, label: str, alias: str, *, reason: str = "", force: bool = False) -> dict[str, Any]:
        """Points an alias at a version; answers the move."""
        body = {"alias": alias, "reason": reason, "force": force}
        return self._json("POST", _path("models", label, "promote"), json=body)

    def roll_back(self, alias: str, *, reason: str = "") -> dict[str, Any]:
        """Points an alias where it pointed before; answers the move."""
        # The version it points at goes along: a request that is sent again after a hiccup moves nothing twice.
        now = next((one["model"] for one in self.aliases() if one["alias"] == alias), None)
        return self._json(
            "POST", _path("aliases", alias, "rollback"), json={"version": now, "reason": reason}
        )

    def aliases(self) -> list[dict[str, Any]]:
        return list(self._json("GET", _path("aliases"))["data"])

    def moves(self, alias: str, *, limit: int = 50) -> list[dict[str, Any]]:
        """The newest moves of an alias first, at most `limit` of them."""
        found: list[dict[str, Any]] = []
        before: int | None = None
        while len(found) < limit:
            wanted = {"limit": min(limit - len(found), 200)} | ({} if before is None else {"before": before})
            page = self._json("GET", _path("aliases", alias, "moves"), params=wanted)
            found += page["data"]
            before = page["next"]
            if before is None:
                break
        return found

    def delete(self, label: str, *, reason: str = "", dry_run: bool = False) -> dict[str, Any]:
        """Deletes a version given as `name@version`; answers what went, or would go."""
        wanted = {"reason": reason, "dry_run": str(dry_run).lower()}
        return self._json("DELETE", _path("models", label), params=wanted)

    def lineage(self, label: str) -> dict[str, Any]:
        return self._json("GET", _path("models", label, "lineage"))

    def evaluations(self, label: str) -> list[dict[str, Any]]:
        """How a version fared, newest first."""
        return list(self._json("GET", _path("models", label, "evaluations"))["data"])

    def _json(self, method: str, path: str, **extra: Any) -> dict[str, Any]:
        answer: dict[str, Any] = self._client._ask(method, path, **extra).json()
        return answer


def _path(*words: str) -> str:
    return "/".join(("/api/v1", *(quote(word, safe="") for word in words)))
