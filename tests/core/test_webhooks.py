"""Notes about runs: signed, sent again, given up, and never sent where they must not go."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from sqlalchemy import select

from core.config import Settings
from core.errors import InvalidRequest
from core.ledger.schedule_tables import WebhookDelivery
from core.schedules.steering import create_schedule, run_now
from core.states import JobState
from core.store import Store
from core.webhook_sending import (
    ID_HEADER,
    SIGNATURE_HEADER,
    TIME_HEADER,
    check_url,
    find_target,
    send,
    sign,
    verify,
)
from core.webhooks import deliver, wait_seconds
from tests.core.schedules.scheduling_place import SchedulingPlace
from tests.factories import Ledger


class Receiver:
    """A web server that keeps what it is sent and answers as it is told."""

    def __init__(self) -> None:
        self.got: list[tuple[str, dict[str, str], bytes]] = []
        self.answers: list[int] = []
        self.wait = threading.Event()
        self.wait.set()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.got.append((self.path, dict(self.headers), body))
                receiver.wait.wait(60)
                status = receiver.answers.pop(0) if receiver.answers else 200
                self.send_response(status)
                if 300 <= status < 400:
                    self.send_header("Location", receiver.url + "/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/hook?key=1"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        self.wait.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


@pytest.fixture
def place(ledger: Ledger, store: Store, settings: Settings) -> SchedulingPlace:
    return SchedulingPlace(ledger, store, settings.model_copy(update={"webhooks_to_private": True}))


def ended(place: SchedulingPlace, url: str) -> None:
    """A run that has ended, about which somebody wants to know."""
    place.schedule(webhook_url=url)
    run_now(place.database, place.user, "weekly", clock=place.clock)
    place.round()
    place.end_jobs(JobState.FAILED, "The disk is full.")
    place.round()


def notes(place: SchedulingPlace) -> list[WebhookDelivery]:
    with place.database.read() as session:
        return list(session.scalars(select(WebhookDelivery).order_by(WebhookDelivery.id)))


def secret_of(place: SchedulingPlace) -> str:
    from core.schedules.steering import find_schedule

    with place.database.read() as session:
        return find_schedule(session, "weekly").webhook_secret or ""


def test_whoever_asked_is_told_once_and_can_tell_that_it_was_us(
    place: SchedulingPlace, receiver: Receiver
) -> None:
    ended(place, receiver.url)
    place.scheduling.deliver()
    place.scheduling.deliver()
    ((path, headers, body),) = receiver.got
    assert path == "/hook?key=1"
    told = json.loads(body)
    assert (told["event"], told["schedule"], told["state"]) == ("schedule.run.ended", "weekly", "failed")
    assert told["sentence"] == "Its preparation failed. The disk is full."
    at = place.clock.at.timestamp()
    secret = secret_of(place)
    assert verify(secret, headers, body, at)
    assert not verify(secret, headers, body, at + 301)
    assert not verify(secret, headers, body + b" ", at)
    assert not verify("vswh_other", headers, body, at)
    assert not verify(secret, {**headers, TIME_HEADER: str(int(at) + 1)}, body, at)
    assert not verify(secret, {**headers, ID_HEADER: "note_other"}, body, at)
    assert not verify(secret, {}, body, at)
    (note,) = notes(place)
    assert (note.attempts, note.last_error, note.next_attempt_at) == (1, None, None)
    assert note.delivered_at is not None


def test_a_signature_is_the_documented_one() -> None:
    # printf 'note_1.1700000000.{}' | openssl dgst -sha256 -hmac secret
    assert sign("secret", "note_1", 1_700_000_000, b"{}") == (
        "v1=03be7b106d484746c5222b05470a53ace534797599d7bb0f97f085c33d45fce0"
    )


def test_a_receiver_in_trouble_is_asked_again_later_and_later(
    place: SchedulingPlace, receiver: Receiver
) -> None:
    ended(place, receiver.url)
    receiver.answers = [503, 429]
    place.scheduling.deliver()
    (note,) = notes(place)
    assert (note.last_error, note.delivered_at) == ("It answered 503.", None)
    place.scheduling.deliver()
    assert len(receiver.got) == 1  # not yet
    place.clock.move(seconds=11)
    place.scheduling.deliver()
    place.clock.move(seconds=21)
    place.scheduling.deliver()
    (note,) = notes(place)
    assert (note.attempts, note.last_error) == (3, None)
    assert note.delivered_at is not None
    assert len({headers[ID_HEADER] for _, headers, _ in receiver.got}) == 1
    assert len({headers[SIGNATURE_HEADER] for _, headers, _ in receiver.got}) == 3
    assert [wait_seconds(attempts) for attempts in (1, 2, 3, 100)] == [10, 20, 40, 3600]


def test_after_a_day_it_is_given_up_and_the_last_error_stays(place: SchedulingPlace) -> None:
    ended(place, "http://127.0.0.1:9/nobody")
    for _ in range(60):
        place.scheduling.deliver()
        place.clock.move(hours=1, minutes=1)
    (note,) = notes(place)
    assert note.next_attempt_at is None
    assert note.last_error == "Nobody answered: connection refused."
    assert note.attempts == 25


@pytest.mark.parametrize(("status", "said"), [(404, "It answered 404."), (302, "do not follow")])
def test_a_refusal_or_a_redirect_is_final(
    place: SchedulingPlace, receiver: Receiver, status: int, said: str
) -> None:
    ended(place, receiver.url)
    receiver.answers = [status]
    for _ in range(3):
        place.scheduling.deliver()
        place.clock.move(hours=2)
    (note,) = notes(place)
    assert (len(receiver.got), note.next_attempt_at) == (1, None)
    assert said in (note.last_error or "")


def test_two_tickers_do_not_send_a_note_at_the_same_time(place: SchedulingPlace, receiver: Receiver) -> None:
    ended(place, receiver.url)
    receiver.wait.clear()
    threads = [threading.Thread(target=place.scheduling.deliver) for _ in range(4)]
    for thread in threads:
        thread.start()
    time.sleep(0.3)
    receiver.wait.set()
    for thread in threads:
        thread.join()
    assert len(receiver.got) == 1


def test_an_address_that_has_become_a_private_one_is_not_sent_to(
    place: SchedulingPlace, receiver: Receiver
) -> None:
    ended(place, receiver.url)
    assert deliver(place.database, private=False, clock=place.clock) == 0
    (note,) = notes(place)
    assert receiver.got == []
    assert "not in the open internet" in (note.last_error or "")


def answering(*addresses: str) -> Any:
    return lambda host, port: list(addresses)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "fe80::1%eth0",
        "fd00::1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "2001:db8::1",
    ],
)
def test_no_address_within_is_ever_a_target(address: str) -> None:
    with pytest.raises(InvalidRequest, match="open internet"):
        find_target("https://example.org/", private=False, resolve=answering(address))
    with pytest.raises(InvalidRequest, match="open internet"):  # one bad address among good ones is enough
        find_target("https://example.org/", private=False, resolve=answering("93.184.216.34", address))


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.org/",
        "https://",
        "http:///x",
        "file:///etc/passwd",
        "https://user:pw@example.org/",
        "https://example.org:99999/",
        "https://exa mple.org/",
        "https://example.org/\r\nX: y",
        "//example.org/",
        f"https://{'a' * 64}.org/",
    ],
)
def test_what_is_no_address_of_a_web_server_is_refused(url: str) -> None:
    with pytest.raises(InvalidRequest):
        check_url(url, private=True, resolve=answering("93.184.216.34"))


def test_a_public_address_is_taken_as_it_was_resolved_and_asked_for_only_once() -> None:
    asked: list[str] = []

    def resolve(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["93.184.216.34"] if len(asked) == 1 else ["127.0.0.1"]

    target = find_target("https://exämple.org:8443/a?b=c", private=False, resolve=resolve)
    assert (target.address, target.port, target.host) == ("93.184.216.34", 8443, "xn--exmple-cua.org")
    assert (target.path, target.encrypted, len(asked)) == ("/a?b=c", True, 1)


def test_the_connection_goes_to_the_address_that_was_looked_at(receiver: Receiver) -> None:
    port = int(receiver.url.split(":")[2].split("/")[0])
    url = f"http://nowhere.example:{port}/hook"
    answer = send(url, "s", "n", b"{}", timestamp=1, private=True, resolve=answering("127.0.0.1"))
    assert answer.delivered
    assert receiver.got[0][1]["Host"] == f"nowhere.example:{port}"


def test_an_unencrypted_receiver_behind_https_is_told_as_such(receiver: Receiver) -> None:
    url = receiver.url.replace("http://", "https://")
    answer = send(url, "s", "n", b"{}", timestamp=1, private=True)
    assert (answer.delivered, answer.again) == (False, True)
    assert "No encrypted connection" in answer.sentence
    assert receiver.got == []


def test_a_host_that_is_unknown_is_refused_before_it_is_kept(place: SchedulingPlace) -> None:
    from core.schedules.specs import NewSchedule
    from tests.core.schedules.scheduling_place import TEMPLATE

    wanted = NewSchedule(
        name="w",
        cron="0 * * * *",
        template=TEMPLATE,
        webhook_url="https://nowhere.invalid/x",  # type: ignore[arg-type]
    )
    with pytest.raises(InvalidRequest, match="cannot be found"):
        create_schedule(place.database, place.user, wanted)


def test_a_slow_receiver_delays_no_tick(place: SchedulingPlace, receiver: Receiver) -> None:
    ended(place, receiver.url)
    receiver.wait.clear()
    thread = threading.Thread(target=place.scheduling.deliver)
    thread.start()
    while not receiver.got:
        time.sleep(0.01)
    place.round(hours=1)
    assert thread.is_alive(), "the note is still under way"
    receiver.wait.set()
    thread.join()
    assert notes(place)[0].delivered_at is not None


def test_a_note_taken_by_a_ticker_that_was_killed_is_sent_by_the_next(
    place: SchedulingPlace, receiver: Receiver
) -> None:
    from core.webhooks import _take

    ended(place, receiver.url)
    (note,) = notes(place)
    assert _take(place.database, note.id, place.clock) is not None
    place.scheduling.deliver()
    assert receiver.got == []
    place.clock.at += timedelta(minutes=3)
    place.scheduling.deliver()
    assert len(receiver.got) == 1
