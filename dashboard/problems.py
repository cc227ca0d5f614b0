"""Errors as people and scripts meet them: a page, or `application/problem+json` with a stable code."""

from __future__ import annotations

import json
from http import HTTPStatus

import structlog
from flask import Flask, Response, render_template, request
from flask.typing import ResponseReturnValue
from pydantic import ValidationError
from sqlalchemy.exc import DataError, DBAPIError
from sqlalchemy.exc import TimeoutError as NoConnectionLeft
from werkzeug.exceptions import HTTPException

from core.errors import (
    Conflict,
    InvalidRequest,
    NotAllowed,
    NotFound,
    Permanent,
    QuotaExceeded,
    Retryable,
    TooLarge,
    VoicesketchError,
)
from core.slips import slip_words
from dashboard.api.schemas import QuotaRefusal
from dashboard.translation import said

_STATUS: tuple[tuple[type[VoicesketchError], int], ...] = (
    (NotFound, 404),
    (NotAllowed, 403),
    (Conflict, 409),
    (TooLarge, 413),
    (QuotaExceeded, 403),
    (Permanent, 400),
    (Retryable, 503),
    (VoicesketchError, 500),
)
_CODE = {
    400: InvalidRequest.code,
    401: NotAllowed.code,
    403: NotAllowed.code,
    404: NotFound.code,
    409: Conflict.code,
    413: TooLarge.code,
    429: "too_many_requests",
    503: Retryable.code,
}
# No pages, though they are not in the API: programs ask for them, whose names are fixed by others.
_FOR_PROGRAMS = ("/healthz", "/readyz", "/metrics")
_log = structlog.get_logger()


def register(app: Flask) -> None:
    app.register_error_handler(VoicesketchError, _ours)
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(DataError, _unstorable)
    app.register_error_handler(DBAPIError, _database)
    app.register_error_handler(NoConnectionLeft, _database)
    app.register_error_handler(Exception, _unexpected)


def validation_problem(error: ValidationError) -> Response:
    """The answer to a body or query that is not what the API takes; names the first few slips."""
    slips = [
        f"{'.'.join(str(part) for part in slip['loc']) or 'body'}: {said(slip_words(slip))}"
        for slip in error.errors()
    ]
    more = f" (and {len(slips) - 5} more)" if len(slips) > 5 else ""
    return problem(400, InvalidRequest.code, "; ".join(slips[:5]) + more)


def problem(status: int, code: str, detail: str, *, quota: QuotaRefusal | None = None) -> Response:
    body: dict[str, object] = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": said(detail),
        "code": code,
    }
    if quota is not None:
        body["quota"] = quota.model_dump(mode="json")
    response = Response(json.dumps(body), status, mimetype="application/problem+json")
    if status == 401:
        response.headers["WWW-Authenticate"] = 'Bearer realm="voicesketch"'
    if status == 503:
        response.headers["Retry-After"] = "5"
    return response


def refusal(status: int, detail: str) -> Response:
    """The page or the problem that says why a request is not answered."""
    return _answer(status, _CODE.get(status, "http_error"), detail)


def _ours(error: VoicesketchError) -> Response:
    status = next(status for kind, status in _STATUS if isinstance(error, kind))
    if status >= 500:
        _log.warning("request failed", path=_where(), code=error.code, reason=error.message)
    detail = error.message
    if isinstance(error, Retryable):
        # The cause names machines and keys of ours; it is in the log, and no business of the asker's.
        detail = "Something this page needs is not reachable right now. Your recordings and jobs are safe; try again."
    quota = QuotaRefusal.of(error) if isinstance(error, QuotaExceeded) else None
    return _answer(status, error.code, detail, quota=quota)


def _http(error: HTTPException) -> ResponseReturnValue:
    if error.response is not None:
        return error.response  # flask-openapi3 wraps the answer of `validation_problem` in an exception
    status = error.code or 500
    if status < 400:
        return error  # a redirect
    return _answer(status, _CODE.get(status, "http_error"), error.description or "", error)


def _unstorable(error: DataError) -> Response:
    """What no column takes is the asker's slip, and no trouble of the ledger that somebody is called for."""
    _log.warning("the ledger takes no such value", path=_where(), reason=str(error.orig))
    return _answer(
        400,
        InvalidRequest.code,
        "A text holds a character that cannot be kept (NUL), or a number is too large.",
    )


def _database(error: DBAPIError | NoConnectionLeft) -> Response:
    reason = error.orig if isinstance(error, DBAPIError) else error
    _log.error("the ledger failed", path=_where(), reason=str(reason))
    return _answer(
        503, Retryable.code, "The ledger cannot be reached right now. Nothing was lost; try again."
    )


def _unexpected(error: Exception) -> Response:
    _log.exception("request crashed", path=_where())
    return _answer(500, "error", "Something went wrong on our side. It was written to the log.")


def _where() -> str:
    """Where it happened, for the log. A link that signs in is a secret, and may still be good after a failure."""
    rule = request.url_rule
    return rule.rule if rule is not None and "secret" in rule.arguments else request.path


def _answer(
    status: int,
    code: str,
    detail: str,
    cause: HTTPException | None = None,
    *,
    quota: QuotaRefusal | None = None,
) -> Response:
    if request.path.startswith("/api/") or request.path in _FOR_PROGRAMS:
        response = problem(status, code, detail, quota=quota)
    else:
        try:
            page = render_template(
                "error.html", status=status, phrase=HTTPStatus(status).phrase, detail=said(detail)
            )
            response = Response(page, status, mimetype="text/html")
        except Exception:  # noqa: BLE001 - the page itself may need what just failed
            _log.exception("the error page crashed", path=_where())
            response = Response(f"{status} {detail}\n", status, mimetype="text/plain")
    if cause is not None and status == 405:
        response.headers["Allow"] = dict(cause.get_headers()).get("Allow", "")
    return response
