"""What the command line asks of workers, queues and storage. Apart from `core/client.py`, which does the asking."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from core.schedule_calls import Asks


def fetch_workers(client: Asks) -> list[dict[str, Any]]:
    return list(client._ask("GET", "/api/v1/workers").json()["data"])


def steer_worker(client: Asks, worker_id: str, action: str) -> dict[str, Any]:
    """Action: drain or undrain."""
    return dict(client._ask("POST", f"/api/v1/workers/{quote(worker_id, safe='')}/{action}").json())


def fetch_queues(client: Asks) -> list[dict[str, Any]]:
    return list(client._ask("GET", "/api/v1/queues").json()["data"])


def fetch_storage(client: Asks) -> dict[str, Any]:
    return dict(client._ask("GET", "/api/v1/storage").json())
