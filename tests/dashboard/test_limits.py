"""Nobody asks without end: limits of each token, person and address, and what becomes of them without the broker."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis
from pydantic import SecretStr

from core.config import Settings
from core.people.accounts import Role
from dashboard.app import create_app
from tests.dashboard.conftest import Place, make_place
from tests.ledgers import make_ledger
from tests.servers import Broker

Made = Callable[..., Place]


@pytest.fixture
def made(sqlite_settings: Settings) -> Iterator[Made]:
    """Makes places over one ledger and one broker, as several processes of the dashboard are."""
    make_ledger(sqlite_settings.database_url)
    places: list[Place] = []

    def make(**values: Any) -> Place:
        settings = sqlite_settings.model_copy(update=values)
        if places:
            first = places[0]
            made = Place(create_app(settings), settings, first.database, first.store, first.users)
        else:
            made = make_place(settings)
        places.append(made)
        return made

    yield make
    places[0].database.dispose()


def test_a_token_that_asks_too_often_is_told_when_to_come_back(made: Made) -> None:
    place, second_process = made(requests_per_minute=5), made(requests_per_minute=5)
    ada = place.script("ada")
    assert [ada.get("/api/v1/me").status_code for _ in range(3)] == [200] * 3
    ada.app = second_process.app
    assert [ada.get("/api/v1/me").status_code for _ in range(3)] == [200, 200, 429]
    refused = ada.get("/api/v1/jobs")
    assert (refused.status_code, refused.mimetype) == (429, "application/problem+json")
    assert refused.json["code"] == "too_many_requests"
    assert 1 <= int(refused.headers["Retry-After"]) <= 60
    assert f"in {refused.headers['Retry-After']} seconds" in refused.json["detail"]
    assert refused.headers["X-Content-Type-Options"] == "nosniff"
    # Neither the owner's browser, nor anybody else, nor whoever watches over the service pays for it.
    assert place.browser("ada").get("/jobs").status_code == 200
    assert place.script("bob").get("/api/v1/me").status_code == 200
    assert {place.app.test_client().get("/healthz").status_code for _ in range(8)} == {200}


def test_an_address_without_a_token_is_counted_too_and_keeps_out_nobody_who_has_one(made: Made) -> None:
    place = made(requests_per_minute=6)
    ada = place.script("ada")
    guesser = place.app.test_client()
    statuses = [
        guesser.get("/api/v1/me", headers={"Authorization": f"Bearer vs_guess{n}"}).status_code
        for n in range(8)
    ]
    assert statuses == [401] * 6 + [429] * 2
    page = guesser.get("/jobs")
    assert (page.status_code, page.mimetype) == (429, "text/html")
    assert "Try again in" in page.text
    assert ada.get("/api/v1/me").status_code == 200


def test_one_address_tries_few_passwords_and_links_a_minute_whoever_they_are_of(made: Made) -> None:
    place = made(sign_ins_per_minute=4)
    browser = place.browser("ada")  # came by a link, which is one of the four
    statuses = [
        browser.post("/sign-in", name=name, password="a wrong password").status_code
        for name in ("ada", "bob", "eve", "ada", "bob")
    ]
    assert statuses == [403, 403, 403, 429, 429]
    assert browser.post("/sign-in/nobody-knows").status_code == 429
    assert browser.get("/sign-in").status_code == 303  # still signed in, and asking is no trying
    assert browser.get("/jobs").status_code == 200


def test_addresses_are_told_apart_behind_a_proxy_only_where_there_is_one(made: Made) -> None:
    def tries(place: Place, *addresses: str) -> list[int]:
        client = place.app.test_client()
        return [client.get("/sign-in", headers={"X-Forwarded-For": one}).status_code for one in addresses]

    proxied = made(requests_per_minute=2, trusted_proxies=1)
    assert tries(proxied, *["203.0.113.1"] * 3) == [200, 200, 429]
    assert tries(proxied, "203.0.113.2") == [200]
    # What the asker wrote in front of what the proxy added says nothing.
    assert tries(proxied, "198.51.100.7, 203.0.113.1") == [429]
    plain = made(requests_per_minute=2)
    assert tries(plain, "203.0.113.5", "203.0.113.6", "203.0.113.7") == [200, 200, 429]


def test_limits_hold_in_each_process_while_the_broker_is_away(
    made: Made, caplog: pytest.LogCaptureFixture
) -> None:
    place = made(requests_per_minute=3, broker_url=SecretStr("redis://127.0.0.1:1"))
    ada = place.script("ada")
    assert [ada.get("/api/v1/me").status_code for _ in range(4)] == [200, 200, 200, 429]
    assert [record.levelname for record in caplog.records if "in-memory" in record.message] == ["WARNING"]
    assert place.script("root", Role.ADMIN).get("/api/v1/users").status_code == 200


def test_a_limit_of_nothing_is_no_limit(made: Made, broker: Broker) -> None:
    place = made(requests_per_minute=0, sign_ins_per_minute=0)
    ada = place.script("ada")
    assert {ada.get("/api/v1/me").status_code for _ in range(30)} == {200}
    assert not any("LIMIT" in key for key in _keys(broker))


def _keys(broker: Broker) -> list[str]:
    with redis.Redis.from_url(broker.url, decode_responses=True) as client:
        return list(client.scan_iter("*"))
