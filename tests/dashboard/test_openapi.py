"""The description of the API keeps up with the API, and so does its page in the docs."""

from __future__ import annotations

import importlib
import inspect
import json
import pkgutil
import re
from pathlib import Path
from typing import Any

import jsonschema_rs
from pydantic import BaseModel
from schemathesis.specs.openapi.definitions import OPENAPI_31

import dashboard.api
from tests.dashboard.access_table import API
from tests.dashboard.answer_types import read_description
from tests.dashboard.conftest import Place
from tests.dashboard.sampled_service import routes

DRAFT = "https://json-schema.org/draft/2020-12/schema"
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


def test_the_description_is_what_openapi_3_1_allows() -> None:
    description = read_description()
    found = jsonschema_rs.validator_for(OPENAPI_31).iter_errors(description)
    assert not [f"{list(error.instance_path)}: {error.message}" for error in found]
    for name, schema in description["components"]["schemas"].items():
        assert jsonschema_rs.meta.is_valid({**schema, "$schema": DRAFT}), name
    names = set(description["components"]["schemas"])
    assert {
        one.rpartition("/")[2] for one in re.findall(r'"\$ref": "([^"]+)"', json.dumps(description))
    } <= names


def test_every_route_says_what_it_takes_and_answers() -> None:
    description = read_description()
    wrong, ids = [], []
    for route, operation in routes(description).items():
        method, _, path = route.partition(" ")
        ids.append(operation["operationId"])
        named = {one["name"] for one in operation.get("parameters", ()) if one["in"] == "path"}
        if named != set(re.findall(r"\{(\w+)\}", path)):
            wrong.append(f"{route}: parameters of the path")
        answers = operation["responses"]
        if not {"400", "401", "403", "404", "429", "503"} <= set(answers):
            wrong.append(f"{route}: problems")
        good = [answer for status, answer in answers.items() if status.startswith("2")]
        if not good or ("204" not in answers and not all(answer.get("content") for answer in good)):
            wrong.append(f"{route}: what it answers")
        if (
            method in ("PUT", "PATCH")
            and "requestBody" not in operation
            and path != "/api/v1/collections/{name}"
        ):
            wrong.append(f"{route}: what it takes")
        if not operation.get("summary") or not operation.get("tags"):
            wrong.append(f"{route}: what it is for")
    assert not wrong
    assert len(set(ids)) == len(ids)


def test_every_json_body_has_an_example_that_is_right() -> None:
    description = read_description()
    wrong = []
    for route, operation in routes(description).items():
        for part in (operation.get("requestBody", {}), *operation["responses"].values()):
            for media_type, content in part.get("content", {}).items():
                if media_type not in ("application/json", "application/problem+json"):
                    continue
                whole = {**content["schema"], "components": description["components"]}
                found = jsonschema_rs.Draft202012Validator(whole).iter_errors(content["example"])
                wrong += [f"{route}: {list(error.instance_path)}: {error.message}" for error in found]
    assert not wrong


def test_the_scope_that_is_told_is_the_least_that_will_do() -> None:
    """By the table of what everybody is answered, which another test asks for."""
    described_routes = routes(read_description())
    columns, *lines = (line.split() for line in API.strip().splitlines())
    wrong = []
    for words in lines:
        if len(words) != len(columns) + 2:
            continue  # a body of its own, with other rules
        route = _route_of(words[0], words[1], described_routes)
        (told,) = described_routes[route]["security"][0]["token"]
        statuses = dict(zip(columns, words[2:], strict=True))
        least = next(
            scope
            for asker, scope in (
                ("reads", "read"),
                ("owner", "submit"),
                ("operator", "operate"),
                ("admin", "admin"),
            )
            if statuses[asker].startswith("2")
        )
        # What is one's own alone is not there for the admin who asks with a narrow token.
        if told != least and not (statuses["reads"] == "404" and told == "read"):
            wrong.append(f"{route} says {told} and needs {least}")
    assert not wrong


def _route_of(method: str, path: str, described_routes: dict[str, Any]) -> str:
    fitting = [
        route
        for route in described_routes
        if route.startswith(f"{method} ")
        and re.fullmatch(
            re.sub(
                r"\\{\w+\\}",
                ".+" if route.endswith("/files/{name}") else "[^/]+",
                re.escape(route.partition(" ")[2]),
            ),
            path,
        )
    ]
    return min(fitting, key=lambda route: route.count("{"))
