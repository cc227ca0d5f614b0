"""How much is stored, and whether every part of the service answers."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from flask import Response
from pydantic import BaseModel, Field

from core.keeping.storage_use import storage_use
from core.watching.health import check_health
from dashboard.api.blueprint import answer, api_blueprint
from dashboard.identity import viewer
from dashboard.permissions import require_operations
from dashboard.services import services

api = api_blueprint("storage and health", "What is stored, and whether every part answers.")


class UseView(BaseModel):
    kind: str
    count: int
    bytes: int


class StorageView(BaseModel):
    at: datetime = Field(description="When it was summed up, which the ticker does every five minutes.")
    bytes: int
    data: list[UseView]
    next: str | None = None


class CheckView(BaseModel):
    name: str
    state: str = Field(description="ok, warning or failed.")
    says: str
    milliseconds: float
    facts: dict[str, Any]
    do: str = Field(description="What helps; empty where nothing is wrong.")


class HealthView(BaseModel):
    state: str = Field(description="The worst of the checks: ok, warning or failed.")
    at: datetime
    checks: list[CheckView]
    versions: dict[str, str]


@api.get("/storage", responses={200: StorageView})
def storage() -> Response:
    """Bytes and counts of each kind of thing that is stored; for operators."""
    require_operations(viewer())
    use = storage_use(services().database)
    rows = [UseView(kind=one.kind, count=one.count, bytes=one.bytes) for one in use.kinds]
    return answer(StorageView(at=use.at, bytes=use.bytes, data=rows))


@api.get("/health", responses={200: HealthView})
def health() -> Response:
    """What every part answers, and how fast; for operators. The status is 200 whatever is found."""
    require_operations(viewer())
    here = services()
    found = check_health(here.settings, here.database, here.store)
    checks = [CheckView(**vars(check)) for check in found.checks]
    return answer(HealthView(state=found.state, at=found.at, checks=checks, versions=found.versions))
