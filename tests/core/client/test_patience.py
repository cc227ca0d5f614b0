"""When the client asks again: as often as it is told to, and never where something would be done twice."""

from __future__ import annotations

import time

import pytest

from core.client import Client
from core.client.patience import Patience
from core.errors import Retryable, ServiceUnreachable
from tests.core.client.small_service import Answer, in_json, job_answer, problem, small_service

QUICK = Patience(
    total=3,
    read=2,
    backoff_factor=0.01,
    status_forcelist=(502, 503, 504),
    allowed_methods=None,
    raise_on_status=False,
)
TOKEN = {"id": "tok_1", "token": "vs_new"}


def _slow_down(seconds: str) -> Answer:
    refused = problem(429, "slow_down", "Too many requests; wait a moment.")
    return Answer(429, refused.body, {**refused.headers, "Retry-After": seconds})


def test_who_asks_too_often_waits_as_long_as_it_is_told() -> None:
    answers = iter([_slow_down("1"), in_json(job_answer())])
    with small_service(lambda asked: next(answers)) as service:
        started = time.monotonic()
        assert Client(service.url, "vs_secret", retries=QUICK).job("job_1").id == "job_1"
        assert 0.9 < time.monotonic() - started < 60
    assert len(service.asked) == 2


def test_a_wait_that_is_too_long_is_told_at_once() -> None:
    with small_service(lambda asked: _slow_down("3600")) as service:
        with pytest.raises(Retryable, match="Too many requests"):
            Client(service.url, "vs_secret", retries=QUICK).job("job_1")
        assert len(service.asked) == 1


def test_what_may_have_been_done_is_not_asked_for_again() -> None:
    for trouble in (Answer(0), Answer(502), Answer(504)):
        with small_service(lambda asked, trouble=trouble: trouble) as service:
            with pytest.raises(ServiceUnreachable):
                Client(service.url, "vs_secret", retries=QUICK).make_token("laptop")
            assert len(service.asked) == 1, trouble


def test_what_was_certainly_not_done_is_asked_for_again() -> None:
    answers = iter([Answer(503), _slow_down("1"), in_json(TOKEN, 201)])
    with small_service(lambda asked: next(answers)) as service:
        assert Client(service.url, "vs_secret", retries=QUICK).make_token("laptop")["token"] == "vs_new"
    assert len(service.asked) == 3
