"""Live news of the whole place as server-sent events, so that lists need not be asked for again and again."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator

from flask import Response

from core.ledger.database import Database
from core.ledger.tables import User
from core.watching.news import Marks, moved_jobs, read_marks
from dashboard.api import events
from dashboard.api.blueprint import api_blueprint
from dashboard.api.mark_news import MarkNews
from dashboard.api.schemas import EventsQuery
from dashboard.identity import viewer
from dashboard.services import services

api = api_blueprint("news", "What happens in the whole place, while it happens.")


@api.get("/events", responses={"200": {"content": {"text/event-stream": {}}}})
def stream(query: EventsQuery) -> Response:
    """Event `jobs` with `{"ids": [job…], "more": bool}` whenever a job that you may see was made or moved; events
    `workers` and `schedules` with `{}`, without an id, whenever one of those changed; event `marks` with
    `{"data": [{"job", "item", "mark"}…], "more": bool}`, without an id, when faces that you may see were marked.

    The id of an event goes back in `Last-Event-ID`: the jobs that moved in between are then told first. `more` says
    that too much moved to be named; read the list again.
    """
    told = _told(services().database, viewer(), events.last_seen(query), events.line_of_request())
    return events.streaming(told)


def _told(database: Database, user: User, since: int | None, line: socket.socket | None) -> Iterator[str]:
    started = quiet_since = time.monotonic()
    with database.read() as session:
        marks = read_marks(session)
    faces = MarkNews(database, user)
    if since is not None:
        # A ledger that was put back from a copy counts from less.
        marks = Marks(min(since, marks.transition), marks.workers, marks.schedules)
    yield f"retry: 2000\nid: {marks.transition}\nevent: hello\ndata: {{}}\n\n"
    while time.monotonic() - started < events.LONGEST_SECONDS:
        news, marks = _news(database, user, marks)
        news += faces.read()
        if news:
            quiet_since = time.monotonic()
            yield news
        elif time.monotonic() - quiet_since >= events.HEARTBEAT_SECONDS:
            quiet_since = time.monotonic()
            yield ": still here\n\n"
        if events.ends(line):
            return


def _news(database: Database, user: User, before: Marks) -> tuple[str, Marks]:
    with database.read() as session:
        marks = read_marks(session)
        told = ""
        if marks.transition != before.transition:
            ids = moved_jobs(session, user, before.transition, until=marks.transition)
            if ids is None or ids:
                data = json.dumps({"ids": ids or [], "more": ids is None})
                told += f"id: {marks.transition}\nevent: jobs\ndata: {data}\n\n"
    if marks.workers != before.workers:
        told += "event: workers\ndata: {}\n\n"
    if marks.schedules != before.schedules:
        told += "event: schedules\ndata: {}\n\n"
    return told, marks
