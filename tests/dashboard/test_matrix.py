"""Every route of the app, asked by everybody: what comes of it is what the table says."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from argon2 import PasswordHasher

from core.people import passwords
from core.people.accounts import Role
from core.people.tokens import Scope
from dashboard.api import events
from dashboard.identity import require_identity
from tests.conftest import settings_for, sqlite_url
from tests.dashboard import access_bodies, access_table
from tests.dashboard.conftest import Place, make_place
from tests.dashboard.world import ASKERS, World, scoped
from tests.ledgers import make_ledger
from tests.servers import ObjectStore

__all__ = ["scoped"]  # other tests take it from here

# Reached by anybody, on purpose, and tested where they belong.
_OPEN = {"static", "script_words", "health.healthz", "health.readyz", "openapi.openapi_json"}
# What changes the asker's own account is asked by somebody new each time.
_OF_ONESELF = ("/account/password", "/account/sessions/end")
# Models and schedules are everybody's to look at, with where they came from.
_TOLD_TO_ALL = (
    "/api/v1/models",
    "/api/v1/schedules",
    "/api/v1/aliases",
    "/models",
    "/schedules",
    "/analyses",
)


class Line(NamedTuple):
    """A line of the table: what is asked, and the status that each asker gets."""

    ask: str
    statuses: dict[str, int]

    @property
    def method(self) -> str:
        return self.ask.split()[0]

    @property
    def path(self) -> str:
        return self.ask.split()[1]


def _lines(table: str) -> list[Line]:
    head, *rows = table.strip("\n").splitlines()
    assert head.split() == list(ASKERS)
    lines = []
    for row in rows:
        words = row.split()
        ask, statuses = words[: -len(ASKERS)], words[-len(ASKERS) :]
        lines.append(Line(" ".join(ask), dict(zip(ASKERS, map(int, statuses), strict=True))))
    return lines


LINES = [*_lines(access_table.API), *_lines(access_table.PAGES)]


@pytest.fixture(scope="module")
def world(object_store_server: ObjectStore, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("matrix")
    settings = settings_for(sqlite_url(folder), "redis://127.0.0.1:1", object_store_server).model_copy(
        update={
            "s3_bucket": "matrix",
            "s3_public_url": object_store_server.endpoint_url,
            "s3_sources": "s3://open-to-jobs",
            "webhooks_to_private": True,
        }
    )
    make_ledger(settings.database_url)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(events, "LONGEST_SECONDS", 0.0)  # streams of news would not end by themselves
        patch.setattr(passwords, "_hasher", PasswordHasher(time_cost=1, memory_cost=64))
        place = make_place(settings)
        place.store.of_bucket("open-to-jobs").ensure_bucket()
        yield World(place, folder)
        place.database.dispose()


def test_the_table_names_every_route_of_the_app(sqlite_place: Place) -> None:
    assert require_identity in sqlite_place.app.before_request_funcs[None]
    described = sqlite_place.app.test_client().get("/api/v1/openapi.json").json["paths"]
    served = {
        f"{method.upper()} {_unnamed(path)}" for path, methods in described.items() for method in methods
    } | {
        f"{method} {_unnamed(path)}"
        for rule in sqlite_place.app.url_map.iter_rules()
        if rule.endpoint not in _OPEN and not rule.endpoint.startswith("sign_in.")
        for path in _actions(rule.rule)
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    told = {f"{line.method} {_unnamed(line.path)}" for line in LINES}
    missing = {one for one in served if not any(_fits(one, line) for line in told)}
    assert not missing, f"tests/dashboard/access_table.py lacks lines for: {sorted(missing)}"
    gone = {line for line in told if not any(_fits(one, line) for one in served)}
    assert not gone, f"tests/dashboard/access_table.py has lines for what is not served: {sorted(gone)}"


@pytest.mark.parametrize("line", LINES, ids=[line.ask for line in LINES])
def test_everybody_gets_just_what_the_table_says(world: World, line: Line) -> None:
    given, leaked = {}, []
    for asker in ASKERS:
        path, sent = _request(world, line)
        before = world.state_of_ada() if _may_change_nothing_of_ada(asker, line) else None
        answer = _ask(world, asker, line, path, sent)
        given[asker] = answer.status_code
        if before is not None:
            assert world.state_of_ada() == before, f"{asker} changed what is ada's"
        if asker == "other" and answer.status_code == 200 and not line.path.startswith(_TOLD_TO_ALL):
            leaked = [one for one in world.of_ada if one in answer.text]
        if answer.status_code < 400 and line.method != "GET" and asker != "nobody":
            world.forget()
    assert given == line.statuses
    assert leaked == [], "another submitter was shown what is ada's"


@pytest.mark.parametrize("asker", ["viewer", "other", "operator", "admin"])
def test_a_session_may_what_a_token_without_scope_may(world: World, asker: str) -> None:
    name, role, _ = ASKERS[asker] or ("", Role.VIEWER, None)
    browser = world.place.browser(name, role)
    for line in (one for one in LINES if one.method == "GET" and one.path.startswith("/api/")):
        answer = browser.get(world.fill(line.path))
        assert answer.status_code == line.statuses[asker], line.ask
    assert browser.client.get("/api/v1/me", headers={"Authorization": "Bearer "}).status_code == 401


def test_a_token_makes_none_that_reaches_further_than_itself(world: World) -> None:
    operates = scoped(world.place, "root", Role.ADMIN, Scope.OPERATE)
    for scope, status in (("admin", 403), ("operate", 201), ("submit", 201), ("read", 201)):
        answer = operates.post("/api/v1/tokens", json={"name": f"made {scope}", "scope": scope})
        assert answer.status_code == status, scope
    assert operates.get("/api/v1/users").status_code == 403
    assert operates.get("/api/v1/storage").status_code == 200


def _may_change_nothing_of_ada(asker: str, line: Line) -> bool:
    return line.method != "GET" and asker in ("nobody", "viewer", "other", "reads")


def _request(world: World, line: Line) -> tuple[str, dict[str, Any]]:
    """Path and body, about things that are there."""
    path = world.fill(line.path)
    if line.ask in access_bodies.RAW:
        return path, {"data": access_bodies.RAW[line.ask]}
    if line.ask in access_bodies.FORM:
        return path, {"data": world.fill(access_bodies.FORM[line.ask])}
    if line.method != "GET" and path.startswith("/api/"):
        return path, {"json": world.fill(access_bodies.JSON.get(line.ask, {}))}
    return path, {}


def _ask(world: World, asker: str, line: Line, path: str, sent: dict[str, Any]) -> Any:
    if asker == "nobody":
        return world.place.app.test_client().open(path, method=line.method, **sent)
    script = world.renewed(asker) if line.path.endswith(_OF_ONESELF) else world.askers[asker]
    return script.ask(line.method, path, **sent)


def _unnamed(path: str) -> str:
    """A path with `{}` for every part that stands for something."""
    return re.sub(r"\{\w+\}|<[^>]+>", "{}", path)


def _actions(rule: str) -> list[str]:
    """A rule once for each word that it takes."""
    found = re.search(r"<any\(([^)]*)\):\w+>", rule)
    if found is None:
        return [rule]
    return [rule.replace(found[0], word.strip(" '")) for word in found[1].split(",")]


def _fits(served: str, told: str) -> bool:
    """Whether a line is about this route; a line may have a plain word where the route takes any."""
    pattern = "[^/]+".join(map(re.escape, served.split("{}")))
    return re.fullmatch(pattern, told) is not None
