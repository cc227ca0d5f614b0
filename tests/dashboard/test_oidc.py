"""Signing in by an OpenID Connect service that really runs, and everything that must not get anybody in."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from pydantic import SecretStr
from sqlalchemy import select
from werkzeug.test import TestResponse

from core.config import Settings
from core.errors import InvalidSettings
from core.ledger.tables import User
from core.people.accounts import Role
from core.people.audit import list_entries
from dashboard.app import create_app
from tests.conftest import settings_for
from tests.dashboard.conftest import Browser, Client, Place, make_place
from tests.dashboard.sign_in_service import CLIENT, SECRET, SignInService, serving
from tests.ledgers import make_ledger
from tests.servers import ObjectStore

BACK = "http://127.0.0.1:8000/sign-in/provider/back"
MAPPED = {"oidc_roles": "staff=submitter, ops=operator,top=admin", "oidc_new_role": "nobody"}


@pytest.fixture
def service() -> Iterator[SignInService]:
    with serving(SignInService(BACK)) as service:
        yield service


@pytest.fixture
def settings(
    sqlite_database_url: str, object_store: ObjectStore, service: SignInService, tmp_path: Path
) -> Settings:
    return settings_for(sqlite_database_url, "redis://127.0.0.1:1", object_store).model_copy(
        update={
            "public_url": "http://127.0.0.1:8000",
            "sign_ins_per_minute": 0,
            "oidc_issuer": service.issuer,
            "oidc_client_id": CLIENT,
            "oidc_client_secret": SecretStr(SECRET),
            "oidc_title": "Example Login",
        }
    )


@pytest.fixture
def made(settings: Settings) -> Iterator[Callable[..., Place]]:
    """Makes the place, or another app over it that has other settings."""
    make_ledger(settings.database_url)
    places: list[Place] = []

    def make(**values: Any) -> Place:
        changed = settings.model_copy(update=values)
        if not places:
            places.append(make_place(changed))
            return places[0]
        app = create_app(changed)
        app.test_client_class = Client
        return Place(app, changed, places[0].database, places[0].store, places[0].users)

    yield make
    for place in places:
        place.database.dispose()


def leave(browser: Browser) -> str:
    """Goes to the service; answers the address that it sends the browser back to."""
    left = browser.get("/sign-in/provider")
    assert left.status_code == 302, left.text
    back = requests.get(left.location, allow_redirects=False, timeout=5)
    assert back.status_code == 302, back.text
    assert back.headers["Location"].startswith(BACK)
    return back.headers["Location"].removeprefix("http://127.0.0.1:8000")


def come_in(place: Place) -> tuple[Browser, TestResponse]:
    browser = Browser(place.app)
    return browser, browser.get(leave(browser))


def users(place: Place) -> dict[str, str]:
    with place.database.read() as session:
        return {user.name: user.role for user in session.scalars(select(User))}


def test_somebody_new_comes_in_by_the_service_and_is_the_same_person_next_time(
    made: Callable[..., Place], service: SignInService
) -> None:
    place = made()
    assert "Sign in by Example Login" in Browser(place.app).get("/sign-in").text
    browser, answer = come_in(place)
    assert (answer.status_code, answer.location) == (303, "/jobs")
    assert browser.get("/api/v1/me").json["name"] == "ada"
    assert users(place) == {"ada": "viewer"}
    # A proof of possession, a state and a nonce for each sign-in, none of them used twice.
    come_in(place)
    first, second = service.asked
    assert all(first[name] != second[name] for name in ("state", "nonce", "code_challenge"))
    assert users(place) == {"ada": "viewer"}
    # Where admins decide about roles, the service does not undo it.
    root = place.script("root", Role.ADMIN)
    ada = next(user for user in root.get("/api/v1/users").json["data"] if user["name"] == "ada")
    root.ask("PATCH", f"/api/v1/users/{ada['id']}", json={"role": "submitter"})
    assert come_in(place)[0].get("/new").status_code == 200
    with place.database.read() as session:
        assert [entry.details.get("by") for entry in list_entries(session, subject=ada["id"])] == [
            None,
            "sign-in service",
        ]
    root.ask("PATCH", f"/api/v1/users/{ada['id']}", json={"disabled": True})
    assert browser.get("/jobs").status_code == 303
    assert come_in(place)[1].status_code == 403


def test_an_equal_name_does_not_make_anybody_somebody_else(
    made: Callable[..., Place], service: SignInService
) -> None:
    place = made()
    ada = place.script("ada", Role.ADMIN)
    browser, _ = come_in(place)
    assert browser.get("/api/v1/me").json["name"] == "ada 2"
    service.person = {"sub": "2", "preferred_username": "ada", "email": "ada@example.org"}
    browser, _ = come_in(place)
    assert browser.get("/api/v1/me").json["name"] == "ada@example.org"
    assert ada.get("/api/v1/me").json["role"] == "admin"
    assert browser.get("/people").status_code == 403


def test_groups_give_roles_at_every_sign_in_and_no_group_gives_none(
    made: Callable[..., Place], service: SignInService
) -> None:
    place = made(**MAPPED)
    assert come_in(place)[1].status_code == 403
    assert users(place) == {}
    for groups, role in (
        (["staff", "others"], "submitter"),
        (["staff", "ops"], "operator"),
        ("staff", "submitter"),
        (["top"], "admin"),
        (["ops"], "admin"),  # the last admin stays one
    ):
        service.person = {"sub": "1", "preferred_username": "ada", "groups": groups}
        assert come_in(place)[1].status_code == 303
        assert users(place) == {"ada": role}, groups
    place.user("root", Role.ADMIN)
    browser, _ = come_in(place)
    assert users(place)["ada"] == "operator"
    service.person["groups"] = ["others"]
    assert come_in(place)[1].status_code == 403
    assert browser.get("/jobs").status_code == 200  # a session is ended by disabling, not by the service
    # A service may tell of groups in its userinfo alone.
    del service.person["groups"]
    service.only_userinfo = {"groups": ["staff"]}
    assert come_in(place)[1].status_code == 303
    assert users(place)["ada"] == "submitter"
    service.only_userinfo = {"groups": ["top"], "sub": "another person"}
    assert come_in(place)[1].status_code == 403


@pytest.mark.parametrize(
    "wrong",
    [
        {"spoiled": {"iss": "https://elsewhere.example"}},
        {"spoiled": {"aud": "another client"}},
        {"spoiled": {"nonce": "a nonce of another sign-in"}},
        {"spoiled": {"exp": 1_000_000_000}},
        {"spoiled": {"sub": ""}},
        {"spoiled": {"id_token": None}},
        {"signs_as": "a stranger"},
        {"signs_as": "nobody"},
        {"signs_as": "its public key"},
        {"denies": True},
    ],
    ids=lambda wrong: re.sub(r"\W+", " ", str(wrong)).strip(),
)
def test_what_the_service_did_not_say_gets_nobody_in(
    made: Callable[..., Place], service: SignInService, wrong: dict[str, Any]
) -> None:
    place = made()
    for name, value in wrong.items():
        setattr(service, name, value)
    browser, answer = come_in(place)
    assert answer.status_code == 403, answer.text
    assert "did not work" in answer.text
    assert users(place) == {}
    assert browser.get("/jobs").status_code == 303


def test_an_answer_is_good_once_and_only_in_the_browser_that_asked(made: Callable[..., Place]) -> None:
    place = made()
    victim, attacker = Browser(place.app), Browser(place.app)
    back = leave(attacker)
    # Somebody who is made to open the address of another's sign-in is not signed in as them.
    assert victim.get(back).status_code == 403
    state = parse_qs(urlsplit(back).query)["state"][0]
    for query in ("", "?code=x", f"?state={state}", "?code=x&state=made-up"):
        assert victim.get(f"/sign-in/provider/back{query}").status_code == 403
    assert attacker.get(f"{back}&iss=https://elsewhere.example").status_code == 403
    assert attacker.get(back).status_code == 303
    attacker.post("/sign-out")
    again = leave(attacker)
    assert attacker.get(again).status_code == 303
    assert attacker.get(again).status_code == 403  # the code is used up, and so is the state
    assert victim.get("/jobs").status_code == 303


def test_a_service_that_is_away_leaves_the_other_ways_in(
    made: Callable[..., Place], service: SignInService
) -> None:
    place = made()
    nowhere = made(oidc_issuer="http://127.0.0.1:1")
    answer = Browser(nowhere.app).get("/sign-in/provider")
    assert answer.status_code == 503
    assert "by password or link" in answer.text
    service.spoiled = {"issuer": "https://elsewhere.example"}
    assert Browser(place.app).get("/sign-in/provider").status_code == 503
    assert place.browser("bob").get("/jobs").status_code == 200


def test_without_a_service_there_is_no_such_way_in(sqlite_place: Place) -> None:
    browser = Browser(sqlite_place.app)
    assert "Sign in by" not in browser.get("/sign-in").text
    assert browser.get("/sign-in/provider").status_code == 404
    assert browser.get("/sign-in/provider/back?code=x&state=y").status_code == 404


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"oidc_issuer": "http://login.example.org"}, "https"),
        ({"oidc_client_id": ""}, "CLIENT_ID"),
        ({"oidc_roles": "staff"}, "ROLES"),
        ({"oidc_roles": "staff=king"}, "'king'"),
        ({"oidc_new_role": "king"}, "NEW_ROLE"),
    ],
)
def test_settings_that_cannot_be_meant_end_the_start(
    settings: Settings, values: dict[str, Any], words: str
) -> None:
    with pytest.raises(InvalidSettings, match=words):
        create_app(settings.model_copy(update=values))
