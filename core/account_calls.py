"""What the command line asks of one's own tokens. Apart from `core/client.py`, which gives its way of asking."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from core.schedule_calls import Asks


def fetch_tokens(client: Asks) -> list[dict[str, Any]]:
    """One's tokens that still work, newest first."""
    return list(client._ask("GET", "/api/v1/tokens").json()["data"])


def make_token(client: Asks, name: str, scope: str, days: int | None) -> dict[str, Any]:
    """A new one; its text, `token`, is answered this once."""
    body = {"name": name, "scope": scope, "days": days}
    return dict(client._ask("POST", "/api/v1/tokens", json=body).json())


def end_token(client: Asks, token_id: str) -> dict[str, Any]:
    return dict(client._ask("DELETE", f"/api/v1/tokens/{quote(token_id, safe='')}").json())
