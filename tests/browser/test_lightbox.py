"""One face, large: its facts, a star and a note, and an address that leads back to it."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, Page, expect
from sqlalchemy import update

from core.ledger.tables import ModelVersion
from core.people.accounts import Role
from tests.browser.conftest import Visitor
from tests.dashboard.conftest import Place

pytestmark = pytest.mark.browser


def _know_landmarks(place: Place, count: int) -> None:
    with place.database.write() as session:
        session.execute(update(ModelVersion).values(config={"face_generator": {"landmarks": count}}))


def _show_landmarks(page: Page) -> None:
    """Turned on by its key, they lie over the face, and stay on from face to face."""
    box = page.get_by_role("dialog")
    button, overlay = (
        box.get_by_role("button", name="Landmarks"),
        box.get_by_label("Landmarks of the drawn face"),
    )
    expect(button).to_have_attribute("aria-pressed", "false")
    expect(overlay).to_be_hidden()
    page.keyboard.press("l")
    expect(button).to_have_attribute("aria-pressed", "true")
    expect(overlay.locator("circle")).to_have_count(68)
    expect(overlay.locator("polygon:not(.under), polyline:not(.under)")).to_have_count(9)
    expect(box).to_contain_text("Nothing here was measured of the person who speaks.")
    picture, over = box.locator("img.lightbox-face").bounding_box(), overlay.bounding_box()
    assert picture == over
    # The fake worker's mouth is at the middle, 144 of 224 pixels down.
    mouth = overlay.locator("polygon:not(.under)").nth(2).bounding_box()
    assert picture and mouth
    assert abs((mouth["y"] + mouth["height"] / 2 - picture["y"]) / picture["height"] - 144.5 / 224) < 0.01
    page.keyboard.press("ArrowLeft")
    expect(page.get_by_role("dialog", name="voice 0.flac")).to_be_visible()
    expect(overlay.locator("circle")).to_have_count(68)
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("dialog", name="voice 1.flac")).to_be_visible()


def test_a_face_is_looked_at_marked_and_found_again_by_its_address(
    visitor: Visitor, live_place: Place, chromium: Browser
) -> None:
    ada = live_place.script()
    job_id = ada.job(4)
    _know_landmarks(live_place, 68)
    live_place.worker(refuse=lambda item: ("no_speech", "Nothing is said.") if item.id == 4 else None).run()
    page = visitor.open(live_place.link())
    page.get_by_role("main").get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("main")).to_be_visible()
    page.goto(f"{live_place.settings.public_url}/jobs/{job_id}")
    page.wait_for_load_state()

    page.get_by_role("link", name="Open the face drawn for voice 0.flac").click()
    box = page.get_by_role("dialog", name="voice 0.flac")
    expect(box).to_be_visible()
    page.keyboard.press("ArrowRight")
    box = page.get_by_role("dialog", name="voice 1.flac")
    expect(box).to_contain_text("line 1")
    expect(box).to_contain_text("2 of 4")
    expect(box.get_by_role("link", name="default@1")).to_have_attribute("href", "/models/default%401")
    _show_landmarks(page)
    box.get_by_role("button", name="Favourite").click()
    expect(box.get_by_role("button", name="Favourite")).to_have_attribute("aria-pressed", "true")
    box.get_by_label("Note").fill("the calm one")
    with page.expect_response(lambda answer: answer.url.endswith("/mark")):
        page.keyboard.press("Tab")
    address = page.url
    page.keyboard.press("Escape")
    expect(box).to_be_hidden()
    expect(page.get_by_role("link", name="Open the face drawn for voice 1.flac")).to_be_focused()
    # Back closes it, too, and leads from the page only after that.
    page.get_by_role("link", name="Open the face drawn for voice 1.flac").click()
    expect(box).to_be_visible()
    page.go_back()
    expect(box).to_be_hidden()
    expect(page).to_have_url(f"{live_place.settings.public_url}/jobs/{job_id}")

    again = visitor.open(address)
    box = again.get_by_role("dialog", name="voice 1.flac")
    expect(box.get_by_label("Note")).to_have_value("the calm one")
    expect(box.get_by_label("Landmarks of the drawn face").locator("circle")).to_have_count(68)
    box.get_by_role("button", name="Landmarks").click()
    expect(box.get_by_label("Landmarks of the drawn face")).to_be_hidden()
    expect(box.get_by_role("button", name="Favourite")).to_have_attribute("aria-pressed", "true")
    # Somebody else, in a browser of their own, sees the star and the note arrive, and cannot change them.
    place = live_place
    other = Visitor(chromium.new_context(viewport={"width": 1280, "height": 900}), visitor.address)
    other.context.set_default_timeout(30_000)
    hers = other.open(place.link("vera", Role.VIEWER))
    hers.get_by_role("main").get_by_role("button", name="Sign in").click()
    hers.wait_for_url("**/jobs")
    hers.goto(f"{visitor.address}/jobs/{job_id}")
    expect(hers.get_by_role("img", name="Favourite")).to_have_count(1)
    third = ada.get(f"/api/v1/jobs/{job_id}/items/ids").json["data"][2]
    ada.ask("PUT", f"/api/v1/jobs/{job_id}/items/{third}/mark", json={"favourite": True, "note": "hm"})
    expect(hers.get_by_role("img", name="Favourite")).to_have_count(2)
    expect(hers.locator(f"#item-{third} .tile-noted")).to_be_visible()
    hers.get_by_role("link", name="Open the face drawn for voice 2.flac").click()
    box = hers.get_by_role("dialog", name="voice 2.flac")
    expect(box.get_by_label("Note")).to_have_js_property("readOnly", True)
    expect(box.get_by_role("button", name="Landmarks")).to_have_attribute("aria-pressed", "false")
    expect(box.get_by_role("button", name="Favourite")).to_be_hidden()
    # What has no face says why in its place, and is the last.
    hers.keyboard.press("ArrowRight")
    box = hers.get_by_role("dialog", name="voice 3.flac")
    expect(box.locator(".lightbox-none")).to_have_text("Nothing is said.")
    expect(box.locator("img.lightbox-face")).to_be_hidden()
    expect(box.get_by_role("button", name="Landmarks")).to_be_hidden()
    hers.keyboard.press("ArrowRight")
    expect(box).to_contain_text("4 of 4")
    # Of a model that knows none there is nothing to turn on.
    _know_landmarks(place, 0)
    hers.keyboard.press("ArrowLeft")
    expect(hers.get_by_role("dialog", name="voice 2.flac")).to_be_visible()
    expect(hers.get_by_role("button", name="Landmarks")).to_be_hidden()
    other.context.close()
    assert other.complaints == []
    ada.ask("PUT", f"/api/v1/jobs/{job_id}/items/{third}/mark", json={"favourite": False})
    marked = ada.get(f"/api/v1/jobs/{job_id}/items?favourites=true").json["data"]
    assert [item["key"] for item in marked] == ["line 1"]
