"""The registry in a browser: promote with a reason, and roll back."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import expect

from core.accounts import Role
from core.registry import resolve_model
from tests.browser.conftest import Visitor
from tests.core.registry_place import Registry, metric
from tests.dashboard.conftest import Place
from tests.factories import Ledger

pytestmark = pytest.mark.browser


def sign_in(visitor: Visitor, place: Place) -> None:
    page = visitor.open(place.link("olga", Role.OPERATOR))
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/jobs")
    page.close()


def test_an_operator_promotes_a_version_and_rolls_it_back(
    visitor: Visitor, live_place: Place, tmp_path: Path
) -> None:
    registry = Registry(Ledger(live_place.database), live_place.store, tmp_path)
    dataset = registry.dataset()
    better = registry.trained("drawer", b"better", dataset_version_id=dataset.id)
    with live_place.database.read() as session:
        production = resolve_model(session, "production")
    registry.evaluation(better, dataset, {"matching.voice_to_face.2": metric(0.81, 0.78, 0.84)})
    registry.evaluation(production, dataset, {"matching.voice_to_face.2": metric(0.6, 0.55, 0.65)})
    sign_in(visitor, live_place)

    page = visitor.open("/models")
    page.get_by_role("link", name="drawer@1").click()
    expect(page.get_by_role("row", name="Finds the face of a voice among 2").first).to_contain_text(
        "this one"
    )
    page.get_by_text("Promote…").click()
    page.get_by_label("Why").fill("twenty points better")
    page.get_by_role("button", name="Promote drawer@1").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("production")
    expect(page.get_by_text("“twenty points better”")).to_be_visible()

    page.get_by_role("link", name="Models", exact=True).first.click()
    page.get_by_text("Roll back…").click()
    page.get_by_role("button", name="Roll back to default@1").click()
    expect(page.locator("#alias-production")).to_contain_text("default@1")
    expect(page.get_by_text("Roll back…")).to_have_count(0)
    with live_place.database.read() as session:
        assert resolve_model(session, "production").id == production.id
