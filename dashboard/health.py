"""Whether the dashboard can do its work: it can when the ledger answers."""

from __future__ import annotations

from flask import Blueprint, Response
from sqlalchemy import text

from dashboard.services import services

bp = Blueprint("health", __name__)


@bp.get("/healthz")
def healthz() -> Response:
    with services().database.read() as session:
        session.execute(text("SELECT 1"))
    return Response('{"status":"ok"}', mimetype="application/json")
