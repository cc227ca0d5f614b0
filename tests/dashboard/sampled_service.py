"""A service that answers what its description allows, with made-up values, and notes what it does not describe."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import jsonschema_rs

from tests.core.client.small_service import Answer, Asked

CONTENT = b"x"  # of every file
_ENDED = "completed"
_LARGE = 2**30
_FIXED = {"sha256": hashlib.sha256(CONTENT).hexdigest(), "next": None, "next_page": None}


@dataclass
class SampledService:
    """An answer for every request. Safe to read once all have been answered.

    Attributes:
        answered: routes that were asked, as `METHOD /path/{name}`.
        faults: what was wrong with the requests.
    """

    description: dict[str, Any]
    answered: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.routes = routes(self.description)

    def __call__(self, asked: Asked) -> Answer:
        method = "GET" if asked.method == "HEAD" else asked.method
        label = _label(self.routes, method, asked)
        self.answered.append(label)
        if label not in self.routes:
            self.faults.append(f"{asked.method} {asked.path} is nowhere described")
            return Answer(404)
        found = _faults(self.description, self.routes[label], asked)
        self.faults.extend(f"{label}: {what}" for what in found)
        return _answer(self.description, self.routes[label], label)


def routes(description: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        f"{method.upper()} {path}": operation
        for path, operations in description["paths"].items()
        for method, operation in operations.items()
    }


def _label(routes: dict[str, Any], method: str, asked: Asked) -> str:
    """The route that a request is for; a fixed word goes before one that may be anything."""
    path = urlsplit(asked.path).path
    fitting = [
        label
        for label in routes
        if label.startswith(f"{method} ")
        and re.fullmatch(re.sub(r"\\{(\w+)\\}", _any_word(label), re.escape(label.partition(" ")[2])), path)
    ]
    return min(fitting, key=lambda label: label.count("{"), default="")


def _any_word(label: str) -> str:
    return ".+" if label.endswith("/files/{name}") else "[^/]+"


def _faults(description: dict[str, Any], operation: dict[str, Any], asked: Asked) -> Iterator[str]:
    parameters = [one for one in operation.get("parameters", ()) if one["in"] == "query"]
    known = {one["name"] for one in parameters}
    for name, _ in parse_qsl(urlsplit(asked.path).query):
        if name not in known:
            yield f"there is no parameter {name!r}"
    schema = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
    if schema is None:
        if asked.headers.get("Content-Type") == "application/json":
            yield "no JSON is taken here"
        return
    whole = {**schema, "components": description["components"]}
    for error in jsonschema_rs.Draft202012Validator(whole).iter_errors(json.loads(asked.body)):
        yield error.message


def _answer(description: dict[str, Any], operation: dict[str, Any], label: str) -> Answer:
    status, response = min(
        (status, response) for status, response in operation["responses"].items() if status.startswith("2")
    )
    content = response.get("content", {})
    if "text/event-stream" in content:
        # The first event ends a job; the stream of the whole place has nothing to tell.
        job = json.dumps(sample(description, {"$ref": "#/components/schemas/JobView"}))
        told = f"id: 1\nevent: job\ndata: {job}\n\n"
        return Answer(200, told.encode()) if "{job_id}" in label else Answer(204)
    if "application/json" not in content:
        return Answer(int(status), b"" if status == "204" else CONTENT)
    made = sample(description, content["application/json"]["schema"])
    return Answer(int(status), json.dumps(made).encode(), {"Content-Type": "application/json"})


def sample(description: dict[str, Any], schema: dict[str, Any]) -> Any:
    """Something that the schema allows, with every list having one element and no page having another."""
    if "$ref" in schema:
        return sample(description, description["components"]["schemas"][schema["$ref"].rpartition("/")[2]])
    for several in ("anyOf", "oneOf"):
        if several in schema:
            return sample(description, schema[several][0])
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return _ENDED if _ENDED in schema["enum"] else schema["enum"][0]
    match schema.get("type"):
        case "object":
            fields = schema.get("properties", {})
            return {
                name: _FIXED[name]
                if name in _FIXED
                else _LARGE
                if name.startswith("max_")
                else sample(description, part)
                for name, part in fields.items()
            }
        case "array":
            return [sample(description, schema["items"])] if "items" in schema else []
        case "string":
            return "2026-01-02T03:04:05Z" if schema.get("format") == "date-time" else "word"
        case "integer" | "number":
            return 1
        case "boolean":
            return True
    return None
