"""Live news as the client reads them: whatever way they are cut, and over breaks of the connection."""

from __future__ import annotations

import itertools
import json

import pytest
from hypothesis import given
from hypothesis.strategies import binary, integers, lists

from core.client import Client
from core.client.event_stream import EventReader, Message
from core.client.patience import Patience
from core.errors import NotFound, ServiceUnreachable
from tests.core.client.small_service import Answer, Asked, problem, small_service

NO_PATIENCE = Patience(total=0, allowed_methods=None, raise_on_status=False)
TOLD = (
    "\ufeff: hello\r\nretry: 10\r\n\r\n"
    "id: 7\nevent: job\ndata: {\ndata: }\n\n"
    "event:items\rdata:é☃\rignored: x\rdata\r\r"
    "id: 8\n\n"
    "event: nothing\n\n"
    "data: last\n\n"
    "id: 9\nevent: job\ndata: cut off"
).encode()
MESSAGES = [Message("7", "job", "{\n}"), Message("7", "items", "é☃\n"), Message("8", "message", "last")]


@given(lists(integers(0, len(TOLD)), max_size=12))
def test_events_are_the_same_however_the_bytes_are_cut(cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(TOLD)]
    reader = EventReader()
    pieces = [TOLD[start:end] for start, end in itertools.pairwise(edges)]
    assert list(reader.read(pieces)) == MESSAGES
    assert (reader.last_id, reader.retry_seconds) == ("8", 0.01)


@given(lists(binary(max_size=40), max_size=8))
def test_nonsense_is_no_event_and_no_error(pieces: list[bytes]) -> None:
    for message in EventReader().read(pieces):
        assert "\n" not in message.name


def _event(number: int, name: str, data: object) -> bytes:
    return f"id: {number}\nevent: {name}\ndata: {json.dumps(data)}\n\n".encode()


def _stream(*events: bytes) -> Answer:
    return Answer(200, b"retry: 10\n\n" + b"".join(events), {"Content-Type": "text/event-stream"})


def test_a_break_is_ridden_out_and_what_was_missed_comes_first() -> None:
    answers = iter(
        [
            _stream(_event(3, "job", {"state": "running"}), b"id: 4\nevent: items\nda"),
            Answer(0),
            problem(503, "too_many_streams", "Too many pages watch."),
            _stream(_event(4, "items", {"data": [1]}), _event(5, "job", {"state": "completed"})),
        ]
    )
    with small_service(lambda asked: next(answers)) as service:
        told = list(Client(service.url, "vs_secret", retries=NO_PATIENCE).follow_job("job_1"))
    assert [(one.id, one.name) for one in told] == [(3, "job"), (4, "items"), (5, "job")]
    assert [asked.headers.get("Last-Event-ID") for asked in service.asked] == [None, "3", "3", "3"]


def test_a_job_that_has_ended_has_no_more_news() -> None:
    with small_service(lambda asked: Answer(204)) as service:
        assert list(Client(service.url, "vs_secret").follow_job("job_1", since=9)) == []
    assert [asked.headers["Last-Event-ID"] for asked in service.asked] == ["9"]


def test_a_job_that_is_not_there_is_not_asked_for_again() -> None:
    with small_service(lambda asked: problem(404, "not_found", "There is no such job.")) as service:
        with pytest.raises(NotFound):
            list(Client(service.url, "vs_secret").follow_job("job_1"))
        assert len(service.asked) == 1


def test_a_service_that_is_gone_for_good_is_told() -> None:
    def answer(asked: Asked) -> Answer:
        return _stream(_event(1, "hello", {})) if len(service.asked) == 1 else Answer(0)

    with small_service(answer) as service:
        news = Client(service.url, "vs_secret", retries=NO_PATIENCE).follow_everything()
        assert next(news).name == "hello"
        with pytest.raises(ServiceUnreachable):
            next(news)
    assert len(service.asked) == 7
