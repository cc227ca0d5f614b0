"""The way of somebody who has people's recordings and pictures and wants a dataset, in a real browser."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Visitor
from tests.browser.test_journey import drop, sign_in
from tests.dashboard.conftest import Place
from tests.dashboard.people import work, write_people

pytestmark = pytest.mark.browser


def test_from_a_folder_of_people_to_a_dataset_with_its_report(
    visitor: Visitor, live_place: Place, tmp_path: Path
) -> None:
    folder = write_people(tmp_path / "choir 2026", 4)
    (folder / "cover.psd").write_bytes(b"not a medium")
    (folder / ".hidden").write_bytes(b"nor this")
    page = sign_in(visitor, live_place)
    page.get_by_role("link", name="Datasets").click()
    expect(page.get_by_role("heading", name="No datasets yet")).to_be_visible()
    page.get_by_role("link", name="Prepare a dataset").click()

    # A folder is dropped whole; its name becomes the dataset's, made of letters that names may have.
    drop(page, folder)
    expect(page.get_by_role("heading", name="11 files")).to_be_visible()
    expect(page.locator(".file-sent")).to_have_count(11)
    expect(page.locator("#notes")).to_contain_text("1 file that is neither media nor a table")
    expect(page.locator("#name")).to_have_value("choir-2026")

    # What cannot be is told where it was entered, also in the folded settings.
    page.get_by_text("More settings").click()
    page.get_by_label("Side of pictures").fill("5")
    page.get_by_text("More settings").click()
    page.get_by_role("button", name="Prepare").click()
    expect(page.get_by_label("Side of pictures")).to_be_focused()
    page.get_by_label("Side of pictures").fill("32")
    page.get_by_label("Each part alike in").fill("gender")
    page.get_by_label("Spectrograms").uncheck()
    page.get_by_label("Waveforms").check()
    page.get_by_role("button", name="Prepare").click()

    # The job shows its steps, and leads to the dataset when it is done.
    expect(page.get_by_role("heading", name="dataset choir-2026")).to_be_visible()
    steps = page.locator(".step")
    expect(steps.last).to_contain_text("The dataset version")
    expect(page.get_by_role("link", name="Faces")).to_have_count(0)
    work(live_place, tmp_path / "cache")
    expect(page.locator(".chip")).to_have_text("Done")
    expect(page.locator(".step-done")).to_have_count(steps.count())
    page.locator("#to-dataset").click()

    expect(page.get_by_role("heading", name="choir-2026@1")).to_be_visible()
    page.get_by_text("No recording not_audio").click()
    expect(page.get_by_text("p0/broken.wav")).to_be_visible()
    expect(page.get_by_role("row", name="female")).to_be_visible()
    chart = page.get_by_role("img", name="Chart: split")
    chart.scroll_into_view_if_needed()
    expect(chart).to_have_js_property("complete", True)
    assert chart.evaluate("picture => picture.naturalWidth") > 200

    # Nothing lies outside of a narrow window.
    page.set_viewport_size({"width": 360, "height": 800})
    for path in ("/datasets", "/datasets/choir-2026@1", "/datasets/new"):
        page.goto(visitor.address + path)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
