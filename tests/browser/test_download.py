"""The way of somebody who looks through faces, chooses some, and takes them home."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import Visitor
from tests.browser.test_gallery import enter
from tests.dashboard.conftest import Place
from tests.fakes import face_picture

pytestmark = pytest.mark.browser


def box(page: Page, number: int) -> Locator:
    return page.get_by_role("checkbox", name=f"Choose voice {number}.flac", exact=True)


def test_from_chosen_faces_to_an_archive_with_just_those(visitor: Visitor, live_place: Place) -> None:
    ada = live_place.script()
    job_id = ada.job(12)
    broken = {3, 8}
    live_place.worker(
        refuse=lambda item: ("no_speech", "Nothing is said in it.") if item.id % 12 in broken else None
    ).run()
    items = {item["name"]: item for item in ada.get(f"/api/v1/jobs/{job_id}/items").json["data"]}
    page = enter(visitor, live_place, f"/jobs/{job_id}")
    bar = page.get_by_role("region", name="Chosen faces")
    expect(bar).to_be_hidden()

    # One by its box, a stretch with Shift, one left out again; by keys as well.
    box(page, 0).check()
    expect(bar).to_contain_text("1 chosen")
    box(page, 4).click(modifiers=["Shift"])
    expect(bar).to_contain_text("5 chosen")
    box(page, 1).uncheck()
    page.locator(".tile-open").nth(5).focus()
    page.keyboard.press("Space")
    page.keyboard.press("Shift+ArrowRight")
    expect(bar).to_contain_text("6 chosen")
    expect(page.locator(".tile-chosen")).to_have_count(6)
    wanted = [f"voice {number}.flac" for number in (0, 2, 3, 4, 5, 6)]

    # What is inside is what was chosen, bit by bit, with the tables that tell of just those.
    with page.expect_download() as downloading:
        bar.get_by_role("button", name="ZIP").click()
    archive = zipfile.ZipFile(io.BytesIO(Path(downloading.value.path()).read_bytes()))
    with_face = [name for name in wanted if items[name]["face_url"]]
    assert len(with_face) == 5
    assert set(archive.namelist()) == {
        "results.csv",
        "manifest.json",
        *(items[name]["face_name"] for name in with_face),
    }
    for name in with_face:
        assert archive.read(items[name]["face_name"]) == face_picture(items[name]["recording"])
    rows = list(csv.DictReader(io.StringIO(archive.read("results.csv").decode())))
    assert [row["recording"] for row in rows] == wanted
    assert json.loads(archive.read("manifest.json"))["made_of"] == "some items"
    with page.expect_download() as downloading:
        bar.get_by_role("button", name="Contact sheet").click()
    assert Path(downloading.value.path()).read_bytes().startswith(b"%PDF")

    # They become favourites, here and in another window, and the narrowed gallery shows just them.
    other = visitor.open(page.url)
    page.bring_to_front()
    page.keyboard.press("Escape")
    expect(bar).to_be_hidden()
    page.locator("#tab-faces").click()
    box(page, 0).check()
    bar.get_by_role("button", name="All 10 in this view").click()
    expect(bar).to_contain_text("10 chosen")
    bar.get_by_role("button", name="Favourite").click()
    for window in (page, other):
        expect(window.locator("#favourite-count")).to_have_text("10")
        expect(window.locator(".tile-star[aria-pressed=true]")).to_have_count(10)
    page.locator("#narrow-favourites").click()
    expect(page.locator(".tile-done")).to_have_count(10)

    # What failed is tried again, and only that.
    page.goto(f"{visitor.address}/jobs/{job_id}?show=failed")
    page.wait_for_load_state()
    page.locator(".tile-choose").first.check()
    bar.get_by_role("button", name="Retry").click()
    expect(bar).to_be_hidden()
    expect(page.locator(".chip")).to_have_text("Waiting")
    assert live_place.worker().run() == 1

    # Some of them are run again, in a job of their own.
    page.goto(f"{visitor.address}/jobs/{job_id}")
    page.wait_for_load_state()
    box(page, 0).check()
    box(page, 1).check()
    bar.get_by_text("Run again").first.click()
    bar.get_by_role("button", name="Run again").click()
    expect(page.get_by_role("heading", name="again with default@1")).to_be_visible()
    expect(page.locator("#gallery > .tile")).to_have_count(2)
