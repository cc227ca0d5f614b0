"""The way of an operator who wants a model to be retrained by itself, in a real browser."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from core.people.accounts import Role
from core.ticker import Scheduling
from tests.browser.conftest import Visitor
from tests.dashboard.conftest import Place
from tests.dashboard.test_schedules import add, people

pytestmark = pytest.mark.browser


def test_from_an_expression_to_a_run_that_is_cancelled(visitor: Visitor, live_place: Place) -> None:
    olga = live_place.script("olga", Role.OPERATOR)
    add(olga, people(olga, 3))
    page = visitor.open(live_place.link("olga", Role.OPERATOR))
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("link", name="Schedules").click()
    expect(page.get_by_role("heading", name="Nothing is retrained by itself yet")).to_be_visible()
    page.get_by_role("link", name="Make a schedule").click()

    # While it is typed, the page says what an expression means and when it fires.
    page.get_by_label("Time zone").fill("Europe/Berlin")
    page.get_by_label("Cron expression").fill("30 2 * * 1-5")
    expect(page.locator("#cron-words")).to_have_text("At 02:30, Monday through Friday")
    expect(page.locator("#next li")).to_have_count(5)
    page.get_by_label("Cron expression").fill("")
    expect(page.locator("#cron-words")).to_contain_text("for new pairs alone")
    page.get_by_label("Cron expression").fill("0 3 * * 1")
    expect(page.locator("#cron-words")).to_have_text("At 03:00, only on Monday")
    page.locator("#preset").select_option("matching-small")
    page.get_by_label("Name of the model").fill("voices")
    page.get_by_label("Promote what passes").uncheck()

    # What is missing is asked for where it is entered.
    page.get_by_role("button", name="Make the schedule").click()
    expect(page.locator("#name")).to_be_focused()
    page.locator("#name").fill("weekly")
    page.get_by_role("button", name="Make the schedule").click()
    expect(page.get_by_role("heading", name="weekly")).to_be_visible()
    expect(page.get_by_text("At 03:00, only on Monday (Europe/Berlin)")).to_be_visible()
    expect(page.locator(".next-times li")).to_have_count(5)

    page.get_by_role("button", name="Run now").click()
    expect(page.locator(".run")).to_contain_text("Waiting")
    Scheduling(live_place.database, live_place.store, live_place.settings).round()
    expect(page.locator(".run")).to_contain_text("Preparing")  # without anybody asking
    page.on("dialog", lambda dialog: dialog.accept())
    page.locator(".run").get_by_role("button", name="Cancel").click()
    expect(page.locator(".run")).to_contain_text("olga cancelled it.")

    page.get_by_role("link", name="Edit").click()
    expect(page.get_by_label("Cron expression")).to_have_value("0 3 * * 1")
    page.get_by_label("Or as soon as").fill("20")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("or as soon as 20 new pairs have arrived")).to_be_visible()
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_role("button", name="Resume")).to_be_visible()
    page.get_by_role("link", name="Schedules").first.click()
    expect(page.locator(".schedule-row")).to_contain_text("Paused")
