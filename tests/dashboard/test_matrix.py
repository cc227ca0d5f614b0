"""Every route of the API's own description, asked by everybody: nobody gets further than their role or scope."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from werkzeug.test import TestResponse

from core.accounts import Role, issue_token
from core.tables import Secret
from core.tokens import Scope
from dashboard.identity import require_identity
from tests.dashboard.conftest import Place, Script

# What a viewer may change all the same: what is their own account, and questions that are sent as a body.
_OF_EVERYBODY = ("/api/v1/tokens", "/api/v1/account/")
_QUESTIONS = ("/check", "/preview", "/estimate")
_READING = ("GET", "HEAD")


@pytest.fixture
def described(sqlite_place: Place) -> list[tuple[str, str]]:
    """Method and path of all routes; ids in them are of nothing that exists, except for the job."""
    job = sqlite_place.script("owner").job(1)
    sqlite_place.worker().run()
    paths = sqlite_place.app.test_client().get("/api/v1/openapi.json").json["paths"]
    found = [
        (method.upper(), re.sub(r"\{\w+\}", "0", path.replace("{job_id}", job)))
        for path, methods in paths.items()
        for method in methods
        # A stream never ends by itself.
        if not path.endswith("/events")
    ]
    assert len(found) > 60
    return found


def answers(script: Script, routes: list[tuple[str, str]]) -> Iterator[tuple[str, str, TestResponse]]:
    for method, path in routes:
        yield method, path, script.ask(method, path, json=None if method in _READING else {})


def scoped(place: Place, name: str, role: Role, scope: Scope) -> Script:
    user = place.user(name, role)
    with place.database.write() as session:
        plain = issue_token(session, user, scope.value)
        session.query(Secret).filter_by(user_id=user.id, name=scope.value).one().scopes = [scope.value]
    return Script(place.app, plain)


def test_nobody_gets_401_and_a_problem_everywhere(
    sqlite_place: Place, described: list[tuple[str, str]]
) -> None:
    assert require_identity in sqlite_place.app.before_request_funcs[None]
    for method, path, answer in answers(Script(sqlite_place.app, "vs_nobody"), described):
        assert answer.status_code == 401, (method, path)


@pytest.mark.parametrize(
    ("role", "scope"),
    [(Role.VIEWER, Scope.ADMIN), (Role.ADMIN, Scope.READ)],
    ids=["viewer", "admin with a token that reads"],
)
def test_who_only_reads_changes_nothing(
    sqlite_place: Place, described: list[tuple[str, str]], role: Role, scope: Scope
) -> None:
    for method, path, answer in answers(scoped(sqlite_place, "x", role, scope), described):
        where = (method, path, answer.status_code)
        assert answer.status_code < 500, where
        if method not in _READING and not path.startswith(_OF_EVERYBODY) and not path.endswith(_QUESTIONS):
            # 400 and 404: the body or the id was refused before the role came up.
            assert answer.status_code in (400, 403, 404, 405), where


@pytest.mark.parametrize(
    ("role", "scope"),
    [(Role.SUBMITTER, Scope.ADMIN), (Role.OPERATOR, Scope.ADMIN), (Role.ADMIN, Scope.OPERATE)],
    ids=["submitter", "operator", "admin with a token that operates"],
)
def test_only_admins_reach_users(
    sqlite_place: Place, described: list[tuple[str, str]], role: Role, scope: Scope
) -> None:
    of_users = [route for route in described if route[1].startswith("/api/v1/users")]
    assert len(of_users) == 5
    script = scoped(sqlite_place, "x", role, scope)
    for method, path, answer in answers(script, of_users):
        assert (
            answer.status_code in (400, 403) if method in ("POST", "PATCH") else answer.status_code == 403
        ), (
            method,
            path,
        )
    assert script.post("/api/v1/users", json={"name": "y", "role": "admin"}).status_code == 403


def test_another_submitter_meets_404_on_every_route_of_a_job(
    sqlite_place: Place, described: list[tuple[str, str]]
) -> None:
    of_jobs = [route for route in described if "/jobs/job_" in route[1]]
    assert len(of_jobs) > 12
    for method, path, answer in answers(sqlite_place.script("other"), of_jobs):
        allowed = (404,) if method in _READING else (400, 404)
        assert answer.status_code in allowed, (method, path, answer.status_code)


@pytest.mark.parametrize("role", [Role.OPERATOR, Role.ADMIN, Role.VIEWER])
def test_those_who_see_everything_read_every_route_of_a_job_as_its_owner_does(
    sqlite_place: Place, described: list[tuple[str, str]], role: Role
) -> None:
    reads = [route for route in described if route[0] == "GET" and "/jobs/job_" in route[1]]
    expected = [answer.status_code for *_, answer in answers(sqlite_place.script("owner"), reads)]
    assert expected.count(200) > 3
    assert [answer.status_code for *_, answer in answers(sqlite_place.script("x", role), reads)] == expected
