"""Every page, with something on it and with nothing: can everybody use it, on any screen, in either theme?

With VOICESKETCH_PICTURES=FOLDER the same walk takes the pictures of the manual (`make pictures`).
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect
from playwright.sync_api import TimeoutError as PlaywrightTimeout

from core.people.accounts import Role
from tests.browser.conftest import Visitor
from tests.browser.everything import REFUSED, furnish
from tests.browser.pictures import take
from tests.dashboard.conftest import Place

pytestmark = pytest.mark.browser

_PICTURES = os.environ.get("VOICESKETCH_PICTURES")
_WEIGHT_LIMIT = 150_000
# What no page is made of, or another test walks through; and the parts that htmx and scripts ask for.
_NO_PAGES = ("/api/", "/static/", "/healthz", "/readyz", "/metrics", "/sign-in")
_PARTS = ("/rows", "/summary", "/tiles", "/runs", "/new/settings")
# Both are answered to axe's question; a theme changes colours and nothing else, so the second asks about those alone.
_AXE = Axe()
_ALL_RULES = {"resultTypes": ["violations"]}
_COLOURS = {"resultTypes": ["violations"], "runOnly": ["color-contrast", "link-in-text-block"]}


def sign_in(visitor: Visitor, place: Place) -> Page:
    page = visitor.open(place.link("ada", Role.ADMIN))
    page.get_by_role("main").get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/jobs")
    # Colours are asked for while nothing fades.
    page.emulate_media(reduced_motion="reduce")
    return page


def go(page: Page, visitor: Visitor, path: str, status: int = 200) -> None:
    # Not until everything is quiet: a page that is live never is.
    if "#" in path:
        page.goto("about:blank")  # else nothing would be loaded
    answer = page.goto(visitor.address + path, wait_until="load")
    assert answer is not None and answer.status == status, (path, answer and answer.status)
    expect(page.locator("h1").first).to_be_visible()


def findings(page: Page, where: str) -> list[str]:
    """What axe calls serious or critical, in light (everything) and in dark (colours)."""
    found = []
    page.evaluate(_AXE.axe_script)
    for theme, options in (("light", _ALL_RULES), ("dark", _COLOURS)):
        page.evaluate("theme => { document.documentElement.dataset.theme = theme; }", theme)
        answer = page.evaluate("options => axe.run(options)", options)
        for violation in answer["violations"]:
            if violation["impact"] in ("serious", "critical"):
                nodes = [node["html"][:160] for node in violation["nodes"][:3]]
                found.append(f"{where}, {theme}: {violation['id']} {nodes}")
    return found


def fits(page: Page) -> bool:
    """Whether nothing stands out on the right, once charts have followed the window."""
    try:
        page.wait_for_function(
            "document.documentElement.scrollWidth <= document.documentElement.clientWidth", timeout=30_000
        )
    except PlaywrightTimeout:
        return False
    return True


@pytest.mark.timeout(900)  # half a minute on a quiet machine, many times that on a busy one
def test_every_page_can_be_used_by_everybody_on_any_screen(
    visitor: Visitor, live_place: Place, tmp_path: Path
) -> None:
    paths = furnish(live_place, tmp_path, real_faces=bool(_PICTURES))
    page = sign_in(visitor, live_place)
    wrong: list[str] = []
    for name, path in paths.items():
        page.set_viewport_size({"width": 1280, "height": 900})
        go(page, visitor, path, REFUSED.get(name, 200))
        if _PICTURES:
            if name == "face":
                page.get_by_role("button", name="Landmarks").click()
            take(page, name, Path(_PICTURES))
        wrong += findings(page, path)
        page.set_viewport_size({"width": 390, "height": 844})
        if not fits(page):
            wrong.append(f"{name}, {path}, is wider than a phone")
    # The browser says aloud that a page was refused, which was meant.
    wrong += [one for one in visitor.complaints if "404" not in one]
    visitor.complaints.clear()
    assert not wrong, "\n".join(wrong)

    pages = {
        rule.rule
        for rule in live_place.app.url_map.iter_rules()
        if "GET" in (rule.methods or ())
        and not rule.rule.startswith(_NO_PAGES)
        and not rule.rule.endswith(_PARTS)
    }
    urls = live_place.app.url_map.bind("127.0.0.1")
    seen = {urls.match(re.split("[?#]", path)[0], return_rule=True)[0].rule for path in paths.values()}
    assert pages - seen - {"/"} == set()


def test_empty_pages_and_the_way_in_can_be_used_by_everybody(visitor: Visitor, live_place: Place) -> None:
    wrong: list[str] = []
    page = visitor.open("/sign-in")
    page.emulate_media(reduced_motion="reduce")
    for path in ("/sign-in", live_place.link("ada", Role.ADMIN)):
        go(page, visitor, path)
        wrong += findings(page, path)
    page.close()
    page = sign_in(visitor, live_place)
    for path in (
        "/jobs",
        "/datasets",
        "/trainings",
        "/trainings/new",
        "/evaluations",
        "/analyses",
        "/models/compare",
        "/schedules",
        "/schedules/new",
        "/workers",
        "/queues",
        "/audit",
    ):
        page.set_viewport_size({"width": 1280, "height": 900})
        go(page, visitor, path)
        wrong += findings(page, path)
        page.set_viewport_size({"width": 390, "height": 844})
        if not fits(page):
            wrong.append(f"{path} is wider than a phone")
    assert not wrong, "\n".join(wrong)


def test_the_first_page_is_light_reached_by_keys_and_tells_times_of_the_viewer(
    visitor: Visitor, live_place: Place
) -> None:
    live_place.script("ada", Role.ADMIN).job(12)
    live_place.worker().run()
    page = sign_in(visitor, live_place)

    # What a browser with an empty cache fetches, as it crosses the wire.
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    session.send("Network.clearBrowserCache")
    fetched: dict[str, float] = {}
    session.on(
        "Network.loadingFinished", lambda told: fetched.update({told["requestId"]: told["encodedDataLength"]})
    )
    session.send("Emulation.setTimezoneOverride", {"timezoneId": "Pacific/Auckland"})
    page.reload(wait_until="load")
    page.wait_for_function("document.querySelector('time').title")  # the last script has run
    assert len(fetched) >= 6
    assert sum(fetched.values()) < _WEIGHT_LIMIT, fetched

    # By keys: past the head, into the content, and what has the keyboard shows it.
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()
    page.keyboard.press("Tab")
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    menu = page.get_by_role("navigation", name="Operate")
    menu.locator("summary").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(menu.get_by_role("link", name="Workers")).to_be_focused()
    page.keyboard.press("Escape")
    expect(menu.get_by_role("link", name="Workers")).to_be_hidden()
    expect(menu.locator("summary")).to_be_focused()

    # Half past twelve in UTC is the next day in Auckland.
    said = page.evaluate(
        """() => {
          const time = document.createElement("time");
          time.dateTime = "2020-01-01T12:30:00+00:00";
          document.getElementById("main").append(time);
          document.dispatchEvent(new Event("htmx:after:swap"));
          return [time.textContent, time.title];
        }"""
    )
    assert said[0].startswith("Jan 2, 2020, 1:30")
    assert said[1].startswith("Thursday, January 2, 2020")
