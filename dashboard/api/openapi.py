"""The description of the API, for programs that read it."""

from __future__ import annotations

import copy
import json
from http import HTTPStatus
from typing import Any, cast

from flask import Blueprint, Response, current_app
from flask_openapi3.openapi import OpenAPI

bp = Blueprint("openapi", __name__)

PROBLEM_TYPE = "application/problem+json"
# What the rules for every request may answer, whatever route it is for.
_ANYWHERE = (400, 401, 403, 404, 409, 413, 415, 429, 503)
_METHODS = ("get", "put", "post", "delete", "patch")
_PROBLEM = {PROBLEM_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
_EXAMPLE = {
    "type": "about:blank",
    "title": "Not Found",
    "status": 404,
    "detail": "There is no such job.",
    "code": "not_found",
}


@bp.get("/api/v1/openapi.json")
def openapi_json() -> Response:
    return Response(json.dumps(described(cast(OpenAPI, current_app).api_doc)), mimetype="application/json")


def described(made: dict[str, Any]) -> dict[str, Any]:
    """The description as the routes make it, with what all of them have in common.

    Problems come under their own media type from every route; and bodies of answers that are no JSON, such as
    pictures, are described as such instead of not at all.
    """
    description = copy.deepcopy(made)
    schemas = description.setdefault("components", {}).setdefault("schemas", {})
    if "Problem" in schemas:
        schemas["Problem"]["examples"] = [_EXAMPLE]
    for path in description["paths"].values():
        for method, operation in path.items():
            if method in _METHODS:
                _complete(operation)
    return description


def _complete(operation: dict[str, Any]) -> None:
    responses = operation.setdefault("responses", {})
    # The library says 422 of what is not valid; we answer 400.
    responses.pop("422", None)
    for status in _ANYWHERE:
        response = responses.setdefault(str(status), {})
        response["content"] = _PROBLEM
    for status, response in responses.items():
        response.setdefault("description", HTTPStatus(int(status)).phrase if status.isdigit() else "Answer")
        for media_type, content in response.get("content", {}).items():
            if media_type != "application/json" and not content.get("schema"):
                content["schema"] = {"type": "string", "format": "binary"}
    if not any(status.startswith(("2", "3")) for status in responses):
        responses["200"] = {"description": "OK"}
