"""Live news of one job as server-sent events, read from the ledger about once a second.

The ledger is asked afresh each time, in a transaction that lasts for the question only: a page that stays open for
a day holds a thread, and neither a connection nor a snapshot of the database.
"""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator

import structlog
from flask import Flask, Response, current_app, request
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as NoConnectionLeft

from core.errors import NotFound
from core.ledger.database import Database
from core.ledger.tables import User
from core.queries import changed_items, get_job, last_transition_id
from core.specs import PROGRAM_KINDS
from core.states import JOB_FINAL
from core.training.queries import news_mark
from dashboard.api.blueprint import api_blueprint
from dashboard.api.mark_news import MarkNews
from dashboard.api.schemas import EventsQuery, JobPath
from dashboard.api.views import item_view, job_view
from dashboard.identity import viewer
from dashboard.problems import problem
from dashboard.services import services

api = api_blueprint("events", "What happens to a job, while it happens.")

POLL_SECONDS = 1.0
HEARTBEAT_SECONDS = 15.0
# After this long a browser asks again by itself, and is asked again who it is.
LONGEST_SECONDS = 600.0
MOST_STREAMS = 40  # of the 64 threads in dashboard/gunicorn_config.py; the others serve pages
_ITEMS_AT_ONCE = 200

_log = structlog.get_logger()
_places = threading.BoundedSemaphore(MOST_STREAMS)
closing = threading.Event()


def close_streams() -> None:
    """Ends every stream of this process within a moment."""
    closing.set()


@api.get("/jobs/<job_id>/events", responses={"200": {"content": {"text/event-stream": {}}}})
def stream(path: JobPath, query: EventsQuery) -> Response:
    """Event `job` with the job and event `items` with `{"data": [item…], "more": bool}`, whenever something moved.
    Event `marks`, without an id, with `{"data": [{"job", "item", "mark"}…], "more": bool}`, when somebody marked faces.
    Event `training`, without an id, when a program told something: its progress, curves, log or files are new.

    The id of an event goes back in `Last-Event-ID`: what moved in between is then sent first. `more` says that too
    much moved for one event; read the items again. The stream ends when the job does; asking again is then answered
    with 204.
    """
    user = viewer()
    database = services().database
    with database.read() as session:
        job = get_job(session, user, path.job_id)
        newest = last_transition_id(session, job.id)
    seen = last_seen(query)
    if job.state in JOB_FINAL and seen is not None and seen >= newest:
        return Response(status=204)
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]
    told = _events(app, database, user, job.id, seen, line_of_request(), is_program=job.kind in PROGRAM_KINDS)
    return streaming(told)


def line_of_request() -> socket.socket | None:
    """The connection of this request, where the server tells it."""
    line: socket.socket | None = request.environ.get("gunicorn.socket")
    return line


def ends(line: socket.socket | None) -> bool:
    """Waits for a moment; answers whether the stream ends: we leave, or nobody listens.

    A page that was left shows only when something is written, and would keep one of the few places until then.
    """
    if closing.wait(POLL_SECONDS):
        return True
    try:
        return line is not None and not line.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return False
    except OSError:
        return True


def streaming(told: Iterator[str]) -> Response:
    """An answer that goes on for as long as `told` does, or a refusal where too many do already."""
    if not _places.acquire(blocking=False):
        return problem(
            503,
            "too_many_streams",
            "Too many pages watch at the moment; ask for the things themselves instead.",
        )
    response = Response(_while_it_can(told), mimetype="text/event-stream")
    response.call_on_close(_places.release)
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Accel-Buffering"] = "no"  # nginx would hold events back
    return response


def _while_it_can(told: Iterator[str]) -> Iterator[str]:
    """Ends where there is nothing left to tell of, or nobody to ask: whoever comes back is told by a status."""
    try:
        yield from told
    except NotFound:
        return  # the job was deleted for good while somebody watched it
    except (DBAPIError, NoConnectionLeft) as error:
        reason = error.orig if isinstance(error, DBAPIError) else error
        _log.warning("a live stream ended early", reason=str(reason))


def _events(
    app: Flask,
    database: Database,
    user: User,
    job_id: str,
    since: int | None,
    line: socket.socket | None,
    *,
    is_program: bool,
) -> Iterator[str]:
    started = quiet_since = time.monotonic()
    mark: object = None
    marks = MarkNews(database, user, job_id)
    seen = -1 if since is None else since
    yield "retry: 2000\n\n"
    while time.monotonic() - started < LONGEST_SECONDS:
        with app.app_context():
            news, seen, is_over = _news(
                database, user, job_id, seen, with_items=since is not None or seen >= 0
            )
        if is_program:
            with database.read() as session:
                mark, before = news_mark(session, job_id), mark
            if mark != before:
                news += "event: training\ndata: {}\n\n"
        news += marks.read()
        if news:
            quiet_since = time.monotonic()
            yield news
        elif time.monotonic() - quiet_since >= HEARTBEAT_SECONDS:
            quiet_since = time.monotonic()
            yield ": still here\n\n"
        if is_over or ends(line):
            return


def _news(
    database: Database, user: User, job_id: str, seen: int, *, with_items: bool
) -> tuple[str, int, bool]:
    """What moved after `seen`, as text; up to where that is; and whether nothing more will come."""
    with database.read() as session:
        newest = last_transition_id(session, job_id)
        if newest <= seen:
            return "", seen, get_job(session, user, job_id).state in JOB_FINAL
        items, more = (
            changed_items(session, job_id, seen, until=newest, limit=_ITEMS_AT_ONCE)
            if with_items
            else ([], False)
        )
        job = get_job(session, user, job_id)
        news = _event("job", newest, job_view(session, job).model_dump(mode="json"))
        if items or more:
            data = [item_view(job_id, row, None).model_dump(mode="json") for row in items]
            news = _event("items", newest, {"data": data, "more": more}) + news
        return news, newest, job.state in JOB_FINAL


def _event(name: str, number: int, data: object) -> str:
    return f"id: {number}\nevent: {name}\ndata: {json.dumps(data)}\n\n"


def last_seen(query: EventsQuery) -> int | None:
    """Up to where the asking side knows."""
    given = request.headers.get("Last-Event-ID", "")
    return int(given) if given.isascii() and given.isdigit() and len(given) < 19 else query.since
