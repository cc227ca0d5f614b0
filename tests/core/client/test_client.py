"""The client against a service that misbehaves: retries, plain sentences, and a token that stays at home."""

from __future__ import annotations

import io
import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from urllib3.util.retry import Retry

from core.client import Client
from core.errors import (
    Conflict,
    InvalidRequest,
    NotAllowed,
    NotFound,
    Permanent,
    Retryable,
    ServiceUnreachable,
    TooLarge,
)
from core.service import find_service
from core.specs import NewItem
from tests.core.client.small_service import Answer, Asked, in_json, job_answer, problem, small_service

QUICK = Retry(
    total=3,
    read=3,
    backoff_factor=0.01,
    status_forcelist=(502, 503, 504),
    allowed_methods=None,
    raise_on_status=False,
)


def client_of(url: str) -> Client:
    return Client(url, "vs_secret", retries=QUICK)


def unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_every_request_carries_the_token() -> None:
    with small_service(lambda asked: in_json(job_answer())) as service:
        client_of(service.url).job("job_1")
    assert service.asked[0].headers["Authorization"] == "Bearer vs_secret"


def test_nothing_there_is_one_clear_sentence() -> None:
    url = f"http://127.0.0.1:{unused_port()}"
    with pytest.raises(ServiceUnreachable) as caught:
        client_of(url).job("job_1")
    assert caught.value.message == f"No voicesketch answers at {url}; start one with: voicesketch up"


def test_something_else_there_is_said_too() -> None:
    with (
        small_service(lambda asked: Answer(200, b"<html>a printer</html>")) as service,
        pytest.raises(ServiceUnreachable, match="is no voicesketch"),
    ):
        client_of(service.url).job("job_1")


@pytest.mark.parametrize("told", [{}, {"id": 1, "data": [{}]}, [], "yes", None])
def test_a_program_that_speaks_json_as_well_is_told_from_a_service(told: object) -> None:
    with small_service(lambda asked: in_json(told)) as service:
        client = client_of(service.url)
        for ask in (lambda: client.job("job_1"), lambda: list(client.jobs()), lambda: client.models()):
            with pytest.raises(ServiceUnreachable, match=r"is no voicesketch|says nothing of '\w+'"):
                ask()


@pytest.mark.parametrize("trouble", [Answer(502), Answer(503), Answer(504), Answer(0)], ids=str)
def test_a_service_that_is_restarting_is_asked_again(trouble: Answer) -> None:
    answers: Iterator[Answer] = iter([trouble, trouble, in_json(job_answer())])
    with small_service(lambda asked: next(answers)) as service:
        assert client_of(service.url).job("job_1").id == "job_1"
    assert len(service.asked) == 3


def test_an_upload_is_sent_whole_again_after_a_hiccup() -> None:
    answers = iter([Answer(503), in_json({"recording": "f" * 64})])
    with small_service(lambda asked: next(answers)) as service:
        assert client_of(service.url).send_recording(io.BytesIO(b"voice" * 1000)) == "f" * 64
    assert [len(asked.body) for asked in service.asked] == [5000, 5000]


def test_an_empty_file_is_sent_with_a_length() -> None:
    with small_service(lambda asked: in_json({"recording": "e" * 64})) as service:
        client_of(service.url).send_recording(io.BytesIO(b""))
    headers = service.asked[0].headers
    assert headers.get("Content-Length") == "0" and "Transfer-Encoding" not in headers


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (400, "invalid_request", InvalidRequest),
        (403, "unheard_of", NotAllowed),
        (404, "not_found", NotFound),
        (409, "conflict", Conflict),
        (413, "too_large", TooLarge),
        (418, "teapot", Permanent),
        (429, "slow_down", Retryable),
        (500, "bug", Retryable),
    ],
)
def test_a_refusal_comes_back_as_the_error_it_was(status: int, code: str, kind: type[Exception]) -> None:
    with (
        small_service(lambda asked: problem(status, code, "because")) as service,
        pytest.raises(kind, match="because"),
    ):
        client_of(service.url).job("job_1")


def test_a_token_that_is_not_known_is_said_to_be_so_whatever_strangers_are_told() -> None:
    with (
        small_service(lambda asked: problem(401, "not_allowed", "Send a token, or sign in.")) as service,
        pytest.raises(NotAllowed, match="does not know this token, or it has ended; make another one there"),
    ):
        client_of(service.url).job("job_1")


def test_a_refusal_without_words_still_says_something() -> None:
    with (
        small_service(lambda asked: Answer(403)) as service,
        pytest.raises(NotAllowed, match="does not accept this token"),
    ):
        client_of(service.url).job("job_1")


def test_a_service_that_stays_down_is_unreachable() -> None:
    with small_service(lambda asked: Answer(503)) as service, pytest.raises(ServiceUnreachable):
        client_of(service.url).job("job_1")


def test_the_token_does_not_follow_a_link_to_another_place() -> None:
    with (
        small_service(lambda asked: Answer(200)) as other,
        small_service(lambda asked: Answer(302, headers={"Location": other.url})) as service,
    ):
        client = client_of(service.url)
        with pytest.raises(InvalidRequest, match="another place"):
            client.fetch(f"{other.url}/face.png")
        with pytest.raises(ServiceUnreachable):
            client.fetch("/face.png")
    assert other.asked == []


def test_a_job_is_submitted_with_its_key_and_nothing_it_does_not_need() -> None:
    with small_service(lambda asked: in_json(job_answer("queued", pending=1, failed=1), 201)) as service:
        items = [
            NewItem(key="a", name="a.wav", recording="0" * 64),
            NewItem(key="b\udcff", name="b.wav", error_code="unreadable_file", error_message="no"),
        ]
        job = client_of(service.url).create_job(items, idempotency_key="once", model="default@1")
    (asked,) = service.asked
    assert (job.total, job.finished, job.with_face) == (2, 1, 0)
    assert asked.headers["Idempotency-Key"] == "once"
    assert asked.json()["items"] == [
        {"key": "a", "name": "a.wav", "recording": "0" * 64},
        {"key": "b?", "name": "b.wav", "error_code": "unreadable_file", "error_message": "no"},
    ]


def test_items_are_read_page_by_page() -> None:
    def answer(asked: Asked) -> Answer:
        after = int(asked.path.partition("after=")[2].partition("&")[0] or -1)
        rows = [
            {
                "id": n,
                "position": n,
                "key": str(n),
                "name": "x",
                "state": "done",
                "error": None,
                "attempts": 1,
            }
            for n in range(after + 1, min(after + 3, 5))
        ]
        return in_json({"data": rows, "next": rows[-1]["position"] if after + 3 < 5 else None})

    with small_service(answer) as service:
        assert [item.position for item in client_of(service.url).items("job_1")] == [0, 1, 2, 3, 4]


def test_an_id_from_the_shell_cannot_leave_its_place_in_the_address() -> None:
    with (
        small_service(lambda asked: problem(404, "not_found", "no such job")) as service,
        pytest.raises(NotFound),
    ):
        client_of(service.url).job("../models?x=1#y")
    assert service.asked[0].path == "/api/v1/jobs/..%2Fmodels%3Fx%3D1%23y"


def test_the_local_stack_is_found_by_its_data_folder(tmp_path: Path) -> None:
    (tmp_path / "client.json").write_text(json.dumps({"url": "http://127.0.0.1:8123/", "token": "vs_local"}))
    assert find_service(data=tmp_path).url == "http://127.0.0.1:8123"
    assert find_service(url="http://elsewhere:1", token="t", data=tmp_path).url == "http://elsewhere:1"
    assert find_service(url="http://127.0.0.1:8123", data=tmp_path)._token == "vs_local"


def test_where_nothing_was_started_the_sentence_says_how(tmp_path: Path) -> None:
    with pytest.raises(ServiceUnreachable, match="start one with: voicesketch up"):
        find_service(data=tmp_path / "nowhere")
    with pytest.raises(InvalidRequest, match="needs a token"):
        find_service(url="http://elsewhere:1", data=tmp_path)
    (tmp_path / "client.json").write_text("{}")
    with pytest.raises(InvalidRequest, match="cannot be read"):
        find_service(data=tmp_path)
