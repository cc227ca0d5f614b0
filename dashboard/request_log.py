"""Lines that a request logs name the job it is about, as lines of workers do."""

from __future__ import annotations

import structlog
from flask import Flask, request
from werkzeug.wrappers.response import Response as BaseResponse

_JOB = "job_id"


def attach(app: Flask) -> None:
    """Call it before anything that may log."""

    def begin() -> BaseResponse | None:
        # Threads are used again, also by requests that came to a bad end.
        structlog.contextvars.clear_contextvars()
        job = (request.view_args or {}).get(_JOB)
        if job is not None:
            structlog.contextvars.bind_contextvars(job=str(job))
        return None

    app.before_request_funcs.setdefault(None, []).insert(0, begin)
