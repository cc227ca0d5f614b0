"""The description of the API keeps up with the API, and so does its page in the docs."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
from pathlib import Path

from pydantic import BaseModel

import dashboard.api
from tests.dashboard.conftest import Place

DOCS = Path(__file__).resolve().parents[2] / "docs" / "api.md"


def described(place: Place) -> set[str]:
    paths = place.app.test_client().get("/api/v1/openapi.json").json["paths"]
    return {f"{method.upper()} {path}" for path, methods in paths.items() for method in methods}


def _as_described(rule: str) -> str:
    return re.sub(r"<(?:[^<:]+:)?([^>]+)>", r"{\1}", rule)


def test_every_route_is_described(sqlite_place: Place) -> None:
    here = {
        f"{method} {_as_described(rule.rule)}"
        for rule in sqlite_place.app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"OPTIONS", "HEAD"}
        if rule.rule.startswith("/api/") and rule.endpoint != "openapi.openapi_json"
    }
    assert described(sqlite_place) == here


def test_the_description_is_openapi_3_1_with_both_ways_to_sign_in(sqlite_place: Place) -> None:
    description = sqlite_place.app.test_client().get("/api/v1/openapi.json").json
    assert description["openapi"].startswith("3.1")
    assert set(description["components"]["securitySchemes"]) == {"token", "cookie"}
    assert {"JobView", "ItemView", "Problem"} <= set(description["components"]["schemas"])


def test_the_docs_name_every_route(sqlite_place: Place) -> None:
    written = DOCS.read_text("utf-8")
    missing = [route for route in described(sqlite_place) if f"`{route}`" not in written]
    assert not missing


def test_no_two_schemas_share_a_name() -> None:
    owners: dict[str, set[str]] = {}
    for found in pkgutil.iter_modules(dashboard.api.__path__):
        module = importlib.import_module(f"dashboard.api.{found.name}")
        for name, one in vars(module).items():
            if inspect.isclass(one) and issubclass(one, BaseModel):
                owners.setdefault(name, set()).add(one.__module__)
    assert len(owners) > 50
    assert not {name: modules for name, modules in owners.items() if len(modules) > 1}
