"""What whoever restarts processes and sends requests to them asks, without a token.

`/healthz`: this dashboard works, for the ledger answers. `/readyz`: the place is ready, each of its parts.
"""

from __future__ import annotations

import json

from flask import Blueprint, Flask, Response, current_app, request
from sqlalchemy import text

from core.errors import InvalidRequest
from core.watching.readiness import Readiness, readiness_of
from dashboard.services import services

bp = Blueprint("health", __name__)
_NAME = "readiness"


def attach(app: Flask) -> None:
    """Serves both; call it once services are there."""
    with app.app_context():
        here = services()
    app.extensions[_NAME] = readiness_of(here.settings, here.database, here.store)
    app.register_blueprint(bp)


def readiness() -> Readiness:
    """What is asked of the parts of this place, in a request."""
    found: Readiness = current_app.extensions[_NAME]
    return found


@bp.get("/healthz")
def healthz() -> Response:
    with services().database.read() as session:
        session.execute(text("SELECT 1"))
    return Response('{"status":"ok"}', mimetype="application/json")


@bp.get("/readyz")
def readyz() -> Response:
    """503 while a part is not ready; `?exclude=broker` leaves one out. Says no more than names: anybody may ask."""
    parts = readiness()
    without = request.args.getlist("exclude")
    if unknown := sorted(set(without) - set(parts.names)):
        raise InvalidRequest(f"There is no part {unknown[0][:40]}; there are {', '.join(parts.names)}.")
    said = parts.look(without)
    ready = all(one == "ok" for one in said.values())
    body = json.dumps({"status": "ready" if ready else "not ready", "parts": said})
    return Response(body, 200 if ready else 503, mimetype="application/json")
