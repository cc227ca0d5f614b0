"""A session that ends while pages are open, and a service that is away for a while: nothing is lost, and it is said."""

from __future__ import annotations

import pytest
from playwright.sync_api import Route, expect

from core.people.accounts import Role
from core.people.passwords import set_password
from tests.browser.conftest import Visitor
from tests.dashboard.conftest import Place

pytestmark = pytest.mark.browser

WORDS = "four plain words here"


def test_a_page_outlives_its_session_and_a_service_that_is_away(visitor: Visitor, live_place: Place) -> None:
    job_id = live_place.script("ada", Role.ADMIN).job(3)
    live_place.worker().run()
    set_password(live_place.database, live_place.user("ada"), WORDS)
    items = live_place.script().get(f"/api/v1/jobs/{job_id}/items").json["data"]
    address = f"{visitor.address}/jobs/{job_id}"

    # Somebody who is not signed in follows a link to one face, and sees that face once they are.
    page = visitor.open(f"/jobs/{job_id}#item={items[1]['id']}")
    page.get_by_label("Name").fill("ada")
    page.get_by_label("Password").fill(WORDS)
    page.get_by_role("main").get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("dialog")).to_contain_text(items[1]["name"])
    page.keyboard.press("Escape")

    # They write to somebody about it on another page, and sign out in a second window meanwhile.
    page.goto(f"{visitor.address}/schedules/new")
    page.get_by_label("Name", exact=True).fill("half written")
    second = visitor.open(address)
    second.get_by_role("button", name="Sign out", exact=True).click()
    note = page.locator("#session-note")
    expect(note).to_contain_text("You were signed out.")
    page.locator("#cron").fill("0 4 * * *")  # which the service is asked about
    expect(page.locator("#preview")).to_contain_text("You were signed out. Sign in again in another tab")

    # In again from there, in a window of its own; the first one goes on where it was, with what was written.
    with visitor.context.expect_page() as opened:
        note.get_by_role("link", name="Sign in again").click()
    third = opened.value
    third.get_by_label("Name").fill("ada")
    third.get_by_label("Password").fill(WORDS)
    third.get_by_role("main").get_by_role("button", name="Sign in").click()
    third.wait_for_url("**/schedules/new")
    expect(note).to_have_count(0)
    page.locator("#cron").fill("0 5 * * *")
    expect(page.locator("#preview")).to_contain_text("5:00")
    assert page.get_by_label("Name", exact=True).input_value() == "half written"
    refused = [one for one in visitor.complaints if "401" not in one]
    visitor.complaints.clear()
    assert refused == []

    # On a slow line a button is pressed twice, and does what it does once.
    third.goto(f"{visitor.address}/account")
    third.get_by_label("What it is for").fill("nightly")
    on_the_way: list[Route] = []
    third.route("**/account/tokens", lambda route: on_the_way.append(route))
    # Not by the buttons of Playwright, which waits for the answer to the first.
    third.get_by_role("button", name="New token").evaluate(
        "button => [0, 200].forEach(after => setTimeout(() => button.click(), after))"
    )
    third.wait_for_timeout(500)
    for route in on_the_way:
        route.continue_()
    expect(third.get_by_label("New token")).to_be_visible()
    assert len(on_the_way) == 1

    # A service that is away is no news at first; then it is said, until it is back.
    third.clock.install()
    third.goto(f"{visitor.address}/workers")
    visitor.context.set_offline(True)
    third.clock.run_for(4000)
    third.wait_for_timeout(50)
    expect(third.locator("#session-note")).to_have_count(0)
    third.clock.run_for(8000)
    expect(third.locator("#session-note")).to_contain_text("The service does not answer.")
    visitor.context.set_offline(False)
    third.clock.run_for(4000)
    expect(third.locator("#session-note")).to_have_count(0)
    visitor.complaints[:] = [one for one in visitor.complaints if "ERR_INTERNET_DISCONNECTED" not in one]
