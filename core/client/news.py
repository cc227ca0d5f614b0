"""Live news of a job or of the whole place, gone on with after a break."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import requests
from urllib3.exceptions import HTTPError

from core.client.asking import Asking, place
from core.client.event_stream import EventReader
from core.client.refusals import unreachable
from core.errors import ServiceUnreachable
from core.states import JOB_FINAL

# A comment comes every 15 s; three that stay away are a connection that died.
_TIMEOUTS = (5.0, 45.0)
_MOST_FAILURES = 5  # without any news in between
_LONGEST_PAUSE_SECONDS = 30.0
_READ_AT_ONCE = 64 * 1024


@dataclass(frozen=True)
class Event:
    """`id` goes back as `since` to hear what comes after it; `data` is what the API says of events of that name."""

    id: int | None
    name: str
    data: Any


class News(Asking):
    def follow_job(self, job_id: str, *, since: int | None = None) -> Iterator[Event]:
        """Events `job`, `items` and `training`, until the job has ended.

        Breaks and restarts of the service are ridden out: what was missed comes first afterwards.

        Args:
            since: the id of the last event that is known.

        Raises:
            ServiceUnreachable: nothing answers any more.
        """
        for event in self._follow(place("jobs", job_id, "events"), since):
            yield event
            if event.name == "job" and event.data.get("state") in JOB_FINAL:
                return

    def follow_everything(self, *, since: int | None = None) -> Iterator[Event]:
        """Events `jobs`, `workers` and `schedules`, without an end; `hello` when it begins.

        Otherwise as `follow_job`.
        """
        return self._follow(place("events"), since)

    def _follow(self, path: str, since: int | None) -> Iterator[Event]:
        reader = EventReader("" if since is None else str(since))
        failures = 0
        while True:
            try:
                with self._listen(path, reader.last_id) as answer:
                    if answer.status_code == 204:
                        return
                    for message in reader.read(_pieces(answer)):
                        failures = 0
                        number = int(message.id) if message.id.isascii() and message.id.isdigit() else None
                        yield Event(number, message.name, json.loads(message.data))
            except (ServiceUnreachable, HTTPError, requests.RequestException, OSError, ValueError) as error:
                failures += 1
                if failures > _MOST_FAILURES:
                    raise unreachable(self.url) from error
            time.sleep(min(reader.retry_seconds * max(1, failures), _LONGEST_PAUSE_SECONDS))

    def _listen(self, path: str, last_id: str) -> requests.Response:
        # Compressed, events would come when a block is full and not when they happen.
        headers = {"Accept": "text/event-stream", "Accept-Encoding": "identity"}
        headers |= {"Last-Event-ID": last_id} if last_id else {}
        return self._ask("GET", path, headers=headers, stream=True, timeout=_TIMEOUTS)


def _pieces(answer: requests.Response) -> Iterator[bytes]:
    # `iter_content` would wait until it has as much as it was asked for.
    while piece := answer.raw.read1(_READ_AT_ONCE):
        yield piece
