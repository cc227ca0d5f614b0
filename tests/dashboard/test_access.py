"""Who reaches what. The routes come from the app itself, so that a new one cannot be forgotten."""

from __future__ import annotations

import re
from typing import NamedTuple

import pytest

from core.people.accounts import Role
from tests.dashboard.conftest import Place

# Reached without signing in, on purpose.
OPEN = {
    "static",
    "script_words",
    "health.healthz",
    "health.readyz",
    "openapi.openapi_json",
    "sign_in.ask",
    "sign_in.by_password",
    "sign_in.confirm",
    "sign_in.go_to_provider",
    "sign_in.come_back",
    "sign_in.redeem",
    "sign_in.sign_out",
}


class Route(NamedTuple):
    endpoint: str
    method: str
    path: str


def routes(place: Place, job_id: str, item_id: int, sha256: str) -> list[Route]:
    """Every route and method of the app, on somebody's job, item and recording."""
    values = {
        "job_id": job_id,
        "item_id": item_id,
        "sha256": sha256,
        "secret": "nobody-knows",
        "filename": "css/base.css",
        "label": "default@1",
        "name": "config.json",
        "evaluation_id": "eval_nothing",
        "alias": "production",
        "other": "default@1",
        "run_id": "run_nothing",
        "number": 1,
    }
    found = []
    for rule in place.app.url_map.iter_rules():
        choice = re.search(r"any\(([^)]*)\):(\w+)", rule.rule)
        words = [word.strip(" '") for word in choice[1].split(",")] if choice else [""]
        for word in words:
            given = {name: values.get(name, "nothing") for name in rule.arguments}
            if choice:
                given[choice[2]] = word
            _, path = rule.build(given) or ("", "")
            found += [Route(rule.endpoint, method, path) for method in (rule.methods or set()) - {"OPTIONS"}]
    assert len(found) > 30
    return found


@pytest.fixture
def ada_routes(place: Place) -> list[Route]:
    ada = place.script("ada")
    job_id = ada.job(1)
    place.worker().run()
    item = ada.get(f"/api/v1/jobs/{job_id}/items").json["data"][0]
    return routes(place, job_id, item["id"], item["recording"])


def test_nobody_reaches_anything_without_signing_in(place: Place, ada_routes: list[Route]) -> None:
    for route in ada_routes:
        if route.endpoint in OPEN:
            continue
        answer = place.app.test_client().open(route.path, method=route.method)
        if route.path.startswith("/api/") or route.endpoint == "metrics.metrics":
            assert answer.status_code == 401, route
            assert answer.headers["WWW-Authenticate"].startswith("Bearer")
        else:
            assert (answer.status_code, answer.location.split("?")[0]) == (303, "/sign-in"), route


@pytest.mark.parametrize("header", ["Bearer vs_wrong", "Bearer", "Basic YTpi", "vs_x"])
def test_a_wrong_token_is_nobody_even_beside_a_good_cookie(sqlite_place: Place, header: str) -> None:
    browser = sqlite_place.browser()
    assert browser.get("/api/v1/me").status_code == 200
    assert browser.get("/api/v1/me", headers={"Authorization": header}).status_code == 401


def test_a_disabled_user_is_out_at_once(sqlite_place: Place) -> None:
    from core.ledger.database import now
    from core.ledger.tables import User

    browser, script = sqlite_place.browser(), sqlite_place.script()
    with sqlite_place.database.write() as session:
        user = session.get(User, sqlite_place.user("ada").id)
        assert user is not None
        user.disabled_at = now(session)
    assert browser.get("/jobs").status_code == 303
    assert script.get("/api/v1/me").status_code == 401


def test_a_viewer_is_offered_nothing_they_may_not_do(sqlite_place: Place) -> None:
    job_id = sqlite_place.script("ada").job(1)
    vera = sqlite_place.browser("vera", Role.VIEWER)
    page = vera.get(f"/jobs/{job_id}")
    assert page.status_code == 200
    assert "Cancel" not in page.text
    assert vera.post(f"/jobs/{job_id}/cancel").status_code == 403
    assert vera.get("/new").status_code == 403
    assert sqlite_place.script("ada").get(f"/api/v1/jobs/{job_id}").json["state"] == "queued"
