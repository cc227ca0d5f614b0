"""The key that signs sessions is changed while people work: nobody is signed out, and no open page is lost."""

from __future__ import annotations

import re

import pytest
from flask.testing import FlaskClient
from pydantic import SecretStr

from core.errors import InvalidSettings
from dashboard.app import create_app
from tests.dashboard.conftest import Place

OLD, NEW, OTHER = (word * 8 for word in ("old-key-", "new-key-", "otherkey"))


def dashboard(place: Place, *keys: str) -> FlaskClient:
    """A dashboard that was started with these keys."""
    secret_key = SecretStr("\n".join(keys))
    return create_app(place.settings.model_copy(update={"secret_key": secret_key})).test_client()


def cookie_of(client: FlaskClient) -> tuple[str, str]:
    (cookie,) = (client._cookies or {}).values()
    return cookie.key, cookie.value


def signed_in(place: Place, client: FlaskClient) -> str:
    """Signs in by a link; answers the token that the forms of its pages carry."""
    link = place.link()
    given = re.search(r'name="csrf_token" value="([^"]+)"', client.get(link).text)
    assert given is not None
    assert client.post(link, data={"csrf_token": given[1]}).status_code == 303
    page = client.get("/new").text
    carried = re.search(r'name="csrf-token" content="([^"]+)"', page) or re.search(
        r'name="csrf_token" value="([^"]+)"', page
    )
    assert carried is not None
    return carried[1]


def test_sessions_and_open_pages_go_on_over_a_new_key_until_the_old_one_is_dropped(
    sqlite_place: Place,
) -> None:
    job_id = sqlite_place.script("ada").job(1)
    before = dashboard(sqlite_place, OLD)
    token = signed_in(sqlite_place, before)
    cookie = cookie_of(before)

    def asks(*keys: str) -> tuple[int, int]:
        client = dashboard(sqlite_place, *keys)
        client.set_cookie(*cookie)
        page = client.get("/jobs").status_code
        return page, client.post(f"/api/v1/jobs/{job_id}/pause", headers={"X-CSRF-Token": token}).status_code

    assert asks(NEW, OLD) == (200, 200), "a page of before can be sent"
    assert asks(OTHER, NEW, OLD)[0] == 200
    assert asks(NEW) == (303, 401), "a key that was dropped opens nothing"
    # What is signed now is signed with the first.
    during = dashboard(sqlite_place, NEW, OLD)
    signed_in(sqlite_place, during)
    cookie = cookie_of(during)
    assert asks(NEW)[0] == 200
    assert asks(OLD) == (303, 401)


def test_a_token_that_no_key_signed_is_refused_whatever_the_number_of_keys(sqlite_place: Place) -> None:
    job_id = sqlite_place.script("ada").job(1)
    client = dashboard(sqlite_place, NEW, OLD)
    token = signed_in(sqlite_place, client)
    for wrong in ("", "wrong", token[:-2] + "xx"):
        answer = client.post(f"/api/v1/jobs/{job_id}/pause", headers={"X-CSRF-Token": wrong})
        assert answer.status_code == 400, wrong


def test_every_line_must_be_as_long_as_a_key(sqlite_place: Place) -> None:
    for keys in ((NEW, "short"), ("short", OLD), ("",)):
        with pytest.raises(InvalidSettings, match="at least 32 characters"):
            dashboard(sqlite_place, *keys)
    assert dashboard(sqlite_place, NEW, "", OLD).get("/sign-in").status_code == 200
