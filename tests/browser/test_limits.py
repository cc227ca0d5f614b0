"""Limits as somebody meets them who chooses more than they may, and as an admin gives others."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import expect

from core.ledger.tables import User
from core.people.accounts import Role
from core.people.quotas import give_quotas
from tests.browser.conftest import Visitor
from tests.browser.test_journey import drop, sign_in
from tests.dashboard.conftest import SOUND, Place

pytestmark = pytest.mark.browser

LONG = 60_000  # milliseconds


def test_what_is_too_much_is_told_before_the_button_and_goes_once_an_admin_allows_it(
    visitor: Visitor, live_place: Place, tmp_path: Path
) -> None:
    folder = tmp_path / "voices"
    folder.mkdir()
    for number in range(3):
        (folder / f"{number}.flac").write_bytes(SOUND + bytes([number]))
    ada = live_place.user("ada", Role.ADMIN)
    with live_place.database.write() as session:
        give_quotas(session, session.get_one(User, ada.id), {"items_a_day": 2})

    page = sign_in(visitor, live_place)
    page.goto(f"{visitor.address}/new")
    drop(page, folder)
    refused = page.get_by_role("alert").filter(has_text="within 24 hours")
    expect(refused).to_be_visible(timeout=LONG)
    expect(page.locator("#submit")).to_be_disabled()

    expect(page.locator("#limits")).to_contain_text("0 of 2")

    page.goto(f"{visitor.address}/people/{ada.id}/limits")
    page.get_by_label("Recordings in jobs").fill("3")
    page.get_by_role("button", name="Change").click()
    expect(page.get_by_text("The limits are changed.")).to_be_visible(timeout=LONG)
    page.goto(f"{visitor.address}/new")
    expect(page.locator("#submit")).to_be_enabled(timeout=LONG)
    expect(page.locator("#refused")).to_be_hidden()
    page.locator("#submit").click()
    page.wait_for_url("**/jobs/job_*", timeout=LONG)
    page.goto(f"{visitor.address}/account")
    expect(page.get_by_role("region", name="Your limits")).to_contain_text("3 of 3")
