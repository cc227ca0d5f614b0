"""Logs: one line for each event, of key=value or of JSON, with the job and the attempt at hand in each."""

from __future__ import annotations

import contextlib
import io
import logging
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from types import TracebackType
from typing import Any, Literal, Protocol, TextIO, cast

import structlog

Form = Literal["text", "json"]
TellError = Callable[[str, BaseException, Mapping[str, Any]], None]

_TIME = structlog.processors.TimeStamper(fmt="iso", utc=True, key="timestamp")
_FIRST = ["timestamp", "level", "event"]


class Claimed(Protocol):
    """What carries the ids: a chunk."""

    @property
    def job_id(self) -> str: ...
    @property
    def attempt_id(self) -> str: ...


@contextlib.contextmanager
def at_work_on(*chunks: Claimed) -> Iterator[None]:
    """Every line that this thread logs meanwhile names the job and the attempt, or all of several."""
    jobs = list(dict.fromkeys(chunk.job_id for chunk in chunks))
    attempts = list(dict.fromkeys(chunk.attempt_id for chunk in chunks))
    with structlog.contextvars.bound_contextvars(
        job=jobs[0] if len(jobs) == 1 else jobs, attempt=attempts[0] if len(attempts) == 1 else attempts
    ):
        yield


def set_up_logs(
    level: int = logging.INFO, *, form: Form = "text", part: str = "", tell: TellError | None = None
) -> None:
    """Sends this program's events, and other libraries' records, to standard error.

    Args:
        part: dashboard, ticker or worker; named in every line of JSON.
        tell: is told of each error that is logged with its exception, and of those that nobody caught.
    """
    json = form == "json"
    render = (
        structlog.processors.JSONRenderer(default=str, ensure_ascii=False)
        if json
        else structlog.processors.KeyValueRenderer(key_order=_FIRST)
    )
    named: list[Any] = [_naming(part)] if json and part else []
    logging.basicConfig(
        level=level, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s %(message)s", force=True
    )
    if json:
        for handler in logging.getLogger().handlers:
            handler.setFormatter(_formatter_of_json(named, render))
    if tell is not None:
        logging.getLogger().addHandler(_Telling(tell))
        _tell_of_uncaught(tell)
    # The ledger tells more about a task than Celery's "received" and "succeeded" do.
    quiet = ("celery.worker.strategy", "celery.app.trace")
    for chatty in (*quiet, "botocore", "boto3", "urllib3", "s3transfer", "alembic", "PIL", "numba"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            _TIME,
            *named,
            *([_passing_on(tell)] if tell is not None else []),
            structlog.processors.format_exc_info,
            render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(cast("TextIO", _Unfailing(sys.stderr))),
    )


def _naming(part: str) -> Any:
    def name(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        event.setdefault("part", part)
        return event

    return name


def _formatter_of_json(named: list[Any], render: Any) -> logging.Formatter:
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[
            structlog.contextvars.merge_contextvars,
            structlog.stdlib.add_log_level,
            structlog.stdlib.add_logger_name,
            _TIME,
            *named,
        ],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            render,
        ],
    )


def _passing_on(tell: TellError) -> Any:
    """Tells of errors as they are logged."""

    def pass_on(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        error = _error_in(event.get("exc_info"))
        if error is not None and event.get("level") in ("error", "critical"):
            with contextlib.suppress(Exception):  # nobody's work ends because an error could not be told
                tell(str(event.get("event")), error, event)
        return event

    return pass_on


def _error_in(told: object) -> BaseException | None:
    if isinstance(told, BaseException):
        return told
    if isinstance(told, tuple):
        return cast("BaseException | None", told[1])
    return sys.exc_info()[1] if told else None


class _Telling(logging.Handler):
    """Passes on records of libraries that carry an exception."""

    def __init__(self, tell: TellError) -> None:
        super().__init__(logging.ERROR)
        self._tell = tell

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info and record.exc_info[1] is not None:
            with contextlib.suppress(Exception):
                # Not the message: it may hold anything.
                self._tell(record.name, record.exc_info[1], structlog.contextvars.get_contextvars())


def _tell_of_uncaught(tell: TellError) -> None:
    earlier, earlier_of_threads = sys.excepthook, threading.excepthook

    def of_the_program(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if not isinstance(error, KeyboardInterrupt):
            with contextlib.suppress(Exception):
                tell("uncaught", error, {})
        earlier(kind, error, trace)

    def of_a_thread(given: threading.ExceptHookArgs) -> None:
        if given.exc_value is not None:
            with contextlib.suppress(Exception):
                tell("uncaught in a thread", given.exc_value, structlog.contextvars.get_contextvars())
        earlier_of_threads(given)

    sys.excepthook, threading.excepthook = of_the_program, of_a_thread


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
