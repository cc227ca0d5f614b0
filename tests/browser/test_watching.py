"""The way of somebody who watches a job, mends what failed and compares it with a newer model; a second tab sees it."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Visitor
from tests.dashboard.conftest import Place
from tests.dashboard.test_comparison import second_model

pytestmark = pytest.mark.browser

REFUSED = {
    "voice 1.flac": ("no_speech", "No speech was found."),
    "voice 2.flac": ("too_short", "It is too short."),
}


def test_a_job_is_watched_mended_and_compared_and_a_second_tab_sees_it(
    visitor: Visitor, live_place: Place
) -> None:
    ada = live_place.script()
    job_id = ada.job(6, name="Interviews")
    other_id = ada.job(1, name="Podcast")
    ada.post(f"/api/v1/jobs/{other_id}/pause")
    refused = dict(REFUSED)
    worker = live_place.worker(refuse=lambda item: refused.get(item.name))
    page = visitor.open(live_place.link())
    page.get_by_role("main").get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Jobs")).to_be_visible()
    page.goto(f"{live_place.settings.public_url}/jobs/{job_id}")
    page.wait_for_load_state()
    second = visitor.open("/jobs")
    row = second.locator(f"#{job_id}")
    expect(row).to_contain_text("0 of 6")

    # What is drawn is seen in both tabs while it is drawn.
    worker.step(size=3)
    expect(row).to_contain_text("1 of 6")
    page.bring_to_front()
    expect(page.locator("#summary")).to_contain_text("3 of 6")
    page.get_by_role("button", name="Pause", exact=True).click()
    expect(page.locator("#summary .chip")).to_have_text("Paused")

    # Paused in one tab, both paused jobs are taken up again from the list in the other.
    second.bring_to_front()
    expect(row.locator(".chip")).to_have_text("Paused")
    expect(second.locator("#steer")).to_be_hidden()
    for one in (job_id, other_id):
        second.locator(f"#choose-{one}").check()
    expect(second.locator("#steer-count")).to_have_text("2 jobs")
    second.get_by_role("button", name="Resume", exact=True).click()
    expect(second.locator("#told")).to_contain_text("2 jobs resumed")
    expect(second.locator(f"#choose-{job_id}")).to_be_checked()
    second.get_by_role("textbox", name="Label").fill("for=print")
    second.get_by_role("button", name="Label", exact=True).click()
    expect(row.locator(".label")).to_have_text("for: print")
    second.keyboard.press("Escape")
    expect(second.locator("#steer")).to_be_hidden()
    worker.run()
    expect(row.locator(".chip")).to_have_text("Done, some without a face")

    # How it went: its pace as a chart, and its moves.
    page.bring_to_front()
    expect(page.locator("#summary .chip")).to_have_text("Done, some without a face")
    page.get_by_text("Throughput", exact=True).click()
    expect(page.locator(".pace-words")).to_contain_text("6 brought to an end")
    expect(page.locator(".pace-draw canvas")).to_be_visible()
    page.get_by_text("How it went").click()
    expect(page.locator(".moves")).to_contain_text("Label for")
    expect(page.locator(".moves")).to_contain_text("Paused")

    # What failed of one reason is shown, and tried again by itself.
    page.locator("#errors summary").click()
    page.locator("#show-too_short").click()
    expect(page.locator("#gallery .tile")).to_have_count(1)
    expect(page.locator("#gallery .tile")).to_contain_text("voice 2.flac")
    del refused["voice 2.flac"]
    page.locator("#retry-too_short").click()
    expect(page.locator("#summary .chip")).to_have_text("Waiting")
    assert worker.run() == 1
    expect(page.locator("#summary .chip")).to_have_text("Done, some without a face")
    expect(row).to_contain_text("5 of 6")
    refused.clear()
    page.get_by_role("button", name="Retry 1 failed").click()
    expect(page.locator("#summary .chip")).to_have_text("Waiting")
    assert worker.run() == 1
    expect(page.locator("#summary .chip")).to_have_text("Done")
    second.bring_to_front()
    expect(row).to_contain_text("6 of 6")

    # All of it again with a newer model: first how many, then the job, which the list shows by itself.
    second_model(live_place)
    page.bring_to_front()
    page.goto(f"{live_place.settings.public_url}/jobs/{job_id}")
    page.wait_for_load_state()
    page.get_by_text("Run again with another model").click()
    page.locator("#rerun-model").select_option("default@2")
    page.locator("#rerun-count").click()
    expect(page.locator("#rerun-plan")).to_have_text("6 recordings with default@2")
    page.locator("#rerun-start").click()
    expect(page.get_by_role("heading", name="Interviews, again with default@2")).to_be_visible()
    worker.run()
    expect(page.locator("#summary .chip")).to_have_text("Done")
    second.bring_to_front()
    expect(second.get_by_role("link", name="Interviews, again with default@2")).to_be_visible()

    # Both faces of each recording beside each other.
    page.bring_to_front()
    page.get_by_role("link", name="Compare", exact=True).click()
    page.locator("#partners").get_by_role("link", name="Interviews").click()
    expect(page.locator(".compare-head h2")).to_have_text(["default@2", "default@1"])
    expect(page.locator(".compare-pair")).to_have_count(6)
    faces = page.locator(".compare-pair").first.locator("img")
    expect(faces).to_have_count(2)
    for face in faces.all():
        expect(face).not_to_have_js_property("naturalWidth", 0)
    page.get_by_role("link", name="Swap sides").click()
    expect(page.locator(".compare-head h2")).to_have_text(["default@1", "default@2"])
    page.get_by_role("link", name="A face in one only").click()
    expect(page.locator("#pairs")).to_contain_text("There is no recording of which only one has a face.")
