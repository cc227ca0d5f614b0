"""The description of the API, for programs that read it."""

from __future__ import annotations

import copy
import json
from http import HTTPStatus
from typing import Any, cast

from flask import Blueprint, Response, current_app
from flask_openapi3.openapi import OpenAPI

from dashboard.api.blueprint import PREFIX
from dashboard.api.examples import example
from dashboard.api.scopes import least_scope

bp = Blueprint("openapi", __name__)

PROBLEM_TYPE = "application/problem+json"
_METHODS = ("get", "put", "post", "delete", "patch")
# What the rules for every request may answer, whatever route it is for.
_ANYWHERE = (400, 401, 403, 404, 429, 503)
_CHANGING = (409,)
_WITH_A_BODY = (413, 415)
_PROBLEM = {PROBLEM_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
_JSON = "application/json"
# Bodies that are read as they come and never parsed, so that no schema stands for them.
_RAW = {
    "PUT /recordings": ("application/octet-stream", "A recording, a picture, an array or a table."),
    "PUT /models/files": ("application/octet-stream", "A file of a model."),
    "PUT /uploads/{upload_id}/parts/{number}": ("application/octet-stream", "A part of the file."),
    "POST /archives": ("application/octet-stream", "A ZIP of recordings, in folders or not."),
    "POST /manifests/check": ("application/octet-stream", "A manifest, CSV or JSON lines."),
}


@bp.get("/api/v1/openapi.json")
def openapi_json() -> Response:
    return Response(json.dumps(described(cast(OpenAPI, current_app).api_doc)), mimetype="application/json")


def described(made: dict[str, Any]) -> dict[str, Any]:
    """The description as the routes make it, with what all of them have in common.

    Problems come under their own media type from every route; bodies that are no JSON, such as pictures, are described
    as such instead of not at all; every JSON body has an example, and every route the scope that a token needs.
    """
    description = copy.deepcopy(made)
    schemas = description.setdefault("components", {}).setdefault("schemas", {})
    for path, operations in description["paths"].items():
        for method, operation in operations.items():
            if method in _METHODS:
                _complete(method.upper(), path.removeprefix(PREFIX), operation, schemas)
    return description


def _complete(method: str, path: str, operation: dict[str, Any], schemas: dict[str, Any]) -> None:
    # A session of a browser has no scope; its user's role alone counts.
    operation["security"] = [{"token": [least_scope(method, path)]}, {"cookie": []}]
    if raw := _RAW.get(f"{method} {path}"):
        media_type, about = raw
        binary = {"schema": {"type": "string", "format": "binary"}}
        operation["requestBody"] = {"description": about, "content": {media_type: binary}, "required": True}
    responses = operation.setdefault("responses", {})
    # The library says 422 of what is not valid; we answer 400.
    responses.pop("422", None)
    for status in _problems(method, operation):
        responses.setdefault(str(status), {})["content"] = copy.deepcopy(_PROBLEM)
    if not any(status.startswith(("2", "3")) for status in responses):
        responses["200"] = {"description": "OK"}
    for status, response in responses.items():
        response.setdefault("description", HTTPStatus(int(status)).phrase if status.isdigit() else "Answer")
        for media_type, content in response.get("content", {}).items():
            if media_type != _JSON and not content.get("schema"):
                content["schema"] = {"type": "string", "format": "binary"}
            if media_type in (_JSON, PROBLEM_TYPE):
                content["example"] = example(content["schema"], schemas, status=int(status))
    asked = operation.get("requestBody", {}).get("content", {}).get(_JSON)
    if asked is not None:
        asked["example"] = example(asked["schema"], schemas, is_request=True)


def _problems(method: str, operation: dict[str, Any]) -> tuple[int, ...]:
    declared = tuple(int(status) for status in operation["responses"] if status.startswith(("4", "5")))
    found = {*_ANYWHERE, *declared}
    if method != "GET":
        found |= {*_CHANGING, *_WITH_A_BODY}
    return tuple(sorted(found))
