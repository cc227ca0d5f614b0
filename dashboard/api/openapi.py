"""The description of the API, for programs that read it."""

from __future__ import annotations

import json
from typing import cast

from flask import Blueprint, Response, current_app
from flask_openapi3.openapi import OpenAPI

bp = Blueprint("openapi", __name__)


@bp.get("/api/v1/openapi.json")
def openapi_json() -> Response:
    description = cast(OpenAPI, current_app).api_doc
    return Response(json.dumps(description), mimetype="application/json")
