"""Logs: one line of key=value for each event, with the job and attempt at hand bound by whoever works on them."""

from __future__ import annotations

import contextlib
import io
import logging
import sys
from typing import TextIO, cast

import structlog


def set_up_logs(level: int = logging.INFO) -> None:
    """Sends this program's events, and other libraries' records, to standard error."""
    logging.basicConfig(
        level=level, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s %(message)s", force=True
    )
    # The ledger tells more about a task than Celery's "received" and "succeeded" do.
    quiet = ("celery.worker.strategy", "celery.app.trace")
    for chatty in (*quiet, "botocore", "boto3", "urllib3", "s3transfer", "alembic", "PIL", "numba"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.KeyValueRenderer(key_order=["timestamp", "level", "event"]),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(cast("TextIO", _Unfailing(sys.stderr))),
    )


class _Unfailing(io.TextIOBase):
    """A stream to write to that loses what cannot be written: a full disk must not end the work that is told of."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        with contextlib.suppress(OSError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError):
            self._stream.flush()
