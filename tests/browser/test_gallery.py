"""A gallery of a hundred thousand faces: only what is in view is on the page, and any of it is there at once."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Visitor
from tests.browser.long_jobs import FAIL_EVERY, long_job
from tests.dashboard.conftest import Place

pytestmark = pytest.mark.browser

FACES = 100_000
MOST_TILES = 120  # three screens of them, at this size of the window


def enter(visitor: Visitor, place: Place, path: str) -> Page:
    page = visitor.open(place.link())
    page.get_by_role("main").get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("main")).to_be_visible()
    page.goto(place.settings.public_url + path)
    page.wait_for_load_state()
    return page


def focused(page: Page) -> str:
    """The id of the tile with the keyboard."""
    return str(page.evaluate("document.activeElement.closest('.tile')?.id ?? document.activeElement.id"))


def test_a_hundred_thousand_faces_are_walked_through_by_scrollbar_and_keys(
    visitor: Visitor, live_place: Place
) -> None:
    job_id = long_job(live_place, FACES)
    page = enter(visitor, live_place, f"/jobs/{job_id}")
    page.evaluate(
        "window.moved = 0; new PerformanceObserver(list => list.getEntries().forEach(one => { moved += one.value }))"
        ".observe({ type: 'layout-shift', buffered: true })"
    )
    tiles = page.locator("#gallery > .tile")
    assert tiles.count() < MOST_TILES

    # The scrollbar goes to the middle and to the end at once; what is there comes with its thumbnails.
    for share in (0.5, 1.0):
        page.evaluate(f"scrollTo(0, {share} * (document.documentElement.scrollHeight - innerHeight))")
        expect(page.locator("#gallery > .tile-blank")).to_have_count(0)
        assert tiles.count() < MOST_TILES
    expect(page.get_by_text(f"voice {FACES - 1}.flac")).to_be_in_viewport()
    last = page.locator("#gallery > .tile").last
    expect(last).to_have_attribute("aria-posinset", str(FACES))
    expect(last).to_have_attribute("aria-setsize", str(FACES))
    expect(last.locator("img").first).to_have_js_property("naturalWidth", 112)
    faces = page.evaluate(
        "performance.getEntriesByType('resource').filter(one => one.name.endsWith('face.png')).length"
    )
    assert faces == 0

    # Keys go from face to face, and back to the first one from anywhere.
    page.evaluate("scrollTo(0, 0)")
    expect(page.get_by_text("voice 1.flac", exact=True)).to_be_in_viewport()
    page.locator(".tile-open").first.focus()
    first = focused(page)
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowLeft")
    assert focused(page) == first
    page.keyboard.press("Control+End")
    expect(page.locator(":focus")).to_have_attribute("aria-label", re.compile(rf"voice {FACES - 1}\.flac"))
    page.keyboard.press("PageUp")
    page.keyboard.press("Control+Home")
    expect(page.locator(f"#{first} .tile-open")).to_be_focused()
    # Of so many tiles Tab stops at one only.
    assert page.locator("#gallery [tabindex='0'].tile-open").count() == 1
    assert page.evaluate("window.moved") < 0.01

    # A narrowed gallery is as long as what is in it, and any of it is there at once as well.
    page.get_by_role("link", name="No face").click()
    failures = (FACES + FAIL_EVERY - 1) // FAIL_EVERY
    expect(tiles.first).to_have_attribute("aria-setsize", str(failures))
    page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
    expect(tiles.last).to_have_attribute("aria-posinset", str(failures))
    expect(tiles.last).to_contain_text(f"voice {(failures - 1) * FAIL_EVERY}.flac")


def test_narrowed_galleries_follow_a_job_that_runs(visitor: Visitor, live_place: Place) -> None:
    worker = live_place.worker()
    job_id = live_place.script().job(70)
    faces = enter(visitor, live_place, f"/jobs/{job_id}?show=faces")
    waiting = visitor.open(f"{visitor.address}/jobs/{job_id}?show=waiting")
    expect(faces.locator("#gallery .nothing")).to_contain_text("No face has been drawn yet")
    expect(waiting.locator("#gallery > .tile")).to_have_count(70)

    worker.step(size=5)
    for page, count in ((faces, 5), (waiting, 65)):
        page.bring_to_front()
        expect(page.locator("#gallery > .tile")).to_have_count(count)
        expect(page.locator("#gallery .nothing, #gallery > .tile-blank")).to_have_count(0)
        expect(page.locator("#gallery > .tile").last).to_have_attribute("aria-posinset", str(count))
    expect(faces.locator("#gallery > .tile-done")).to_have_count(5)
    expect(waiting.locator("#gallery > .tile").first).to_contain_text("voice 5.flac")

    # Beyond the first block, and down to nothing.
    worker.run()
    for page, count in ((faces, 70), (waiting, 0)):
        page.bring_to_front()
        expect(page.locator("#gallery > .tile:not(.tile-blank)")).to_have_count(count)
    expect(waiting.locator("#gallery .nothing")).to_be_visible()
    expect(faces.locator("#gallery > .tile").last).to_contain_text("voice 69.flac")
