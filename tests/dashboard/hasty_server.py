"""A server with the dashboard's kind of threads, only two of them and with little patience, and an app of no depth."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from dashboard.patient_worker import PatientWorker

LONG = 256 * 2**20  # more than all buffers on the way hold


class HastyWorker(PatientWorker):
    grace_seconds = 0.3
    unread_seconds = 1


def app(environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
    """Answers how many bytes were sent; or a long time, on `/long`; on `/unread` it looks at no body."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    if environ["PATH_INFO"] == "/long":
        return (bytes(2**20) for _ in range(LONG // 2**20))
    return [b"%d" % (0 if environ["PATH_INFO"] == "/unread" else len(environ["wsgi.input"].read()))]
