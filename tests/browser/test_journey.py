"""The way of somebody who has recordings and wants faces, in a real browser."""

from __future__ import annotations

import csv
import io
import shutil
import zipfile
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from core.people.accounts import Role
from tests.browser.conftest import Visitor
from tests.conftest import REPOSITORY
from tests.dashboard.conftest import SOUND, Place

pytestmark = pytest.mark.browser


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    """A folder as people have them: recordings at two depths, one of them empty, and what lies beside them."""
    folder = tmp_path / "recordings"
    inner = folder / "second day"
    inner.mkdir(parents=True)
    shutil.copy(REPOSITORY / "samples" / "compass.flac", folder / "compass.flac")
    for number in range(6):
        (folder / f"talk {number}.flac").write_bytes(SOUND + bytes([number]))
    for number in range(4):
        (inner / f"talk {number}.flac").write_bytes(SOUND + bytes([100 + number]))
    (inner / "empty.wav").write_bytes(b"")
    (folder / "notes.txt").write_text("not a recording")
    (folder / ".hidden").write_text("nor this")
    return folder


def sign_in(visitor: Visitor, place: Place) -> Page:
    page = visitor.open(place.link("ada", Role.SUBMITTER))
    page.get_by_role("main").get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="No faces yet")).to_be_visible()
    return page


def drop(page: Page, *paths: Path) -> None:
    """Lets files go over the page as a file manager does, so that folders are really walked through."""
    page.wait_for_load_state()  # the frame is there before the scripts that listen to it
    box = page.locator("#drop").bounding_box()
    assert box is not None
    session = page.context.new_cdp_session(page)
    data = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        session.send(
            "Input.dispatchDragEvent", {"type": kind, "x": box["x"] + 40, "y": box["y"] + 40, "data": data}
        )


def places_of_tiles(page: Page) -> list[list[float]]:
    found: list[list[float]] = page.evaluate(
        "[...document.querySelectorAll('.tile')].map(t => { const b = t.getBoundingClientRect();"
        " return [b.left, b.top + scrollY, b.width, b.height]; })"
    )
    return found


def test_from_a_link_to_faces_in_a_folder(visitor: Visitor, live_place: Place, recordings: Path) -> None:
    worker = live_place.worker()
    page = sign_in(visitor, live_place)

    # A folder is dropped; what is no recording stays out.
    page.get_by_role("link", name="Choose recordings").click()
    drop(page, recordings)
    expect(page.get_by_role("heading", name="12 recordings")).to_be_visible()
    expect(page.locator("#notes")).to_contain_text("2 files that are no recordings were left out")
    expect(page.locator(".file-sent")).to_have_count(12)
    page.get_by_label("Name").fill("A walk-through")
    page.get_by_role("button", name="Draw 12 faces").click()

    # The gallery fills while one watches, and nothing moves.
    expect(page.get_by_role("heading", name="A walk-through")).to_be_visible()
    expect(page.locator(".tile-pending")).to_have_count(12)
    page.wait_for_load_state()  # tiles can be found before their style sheet is there
    before = places_of_tiles(page)
    worker.step(size=4)
    expect(page.locator(".tile-done")).to_have_count(3)
    expect(page.locator(".tile-done img[alt^='Face guessed']").first).to_be_visible()
    expect(page.locator("#summary")).to_contain_text("4 of 12")
    failed = page.locator(".tile-failed")
    expect(failed).to_contain_text("The file is empty")
    expect(failed).to_contain_text("empty_file")
    assert places_of_tiles(page) == before

    # A recording is listened to beside its face.
    page.get_by_role("button", name="Play compass.flac").click()
    expect(page.get_by_role("button", name="Play compass.flac")).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#audio")).to_have_js_property("paused", False)
    expect(page.locator("#audio")).not_to_have_js_property("currentTime", 0)
    page.keyboard.press("Escape")
    expect(page.locator("#player")).to_be_hidden()

    # Cancelled in one window, seen in the other.
    other = visitor.open(page.url)
    expect(other.locator(".chip")).to_have_text("Drawing")
    page.bring_to_front()
    page.on("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Cancel").click()
    for window in (page, other):
        expect(window.locator(".chip")).to_have_text("Cancelled")
        expect(window.locator(".tile-cancelled")).to_have_count(8)

    # Taken up again, until every other recording has its face.
    page.get_by_role("button", name="Continue the cancelled").click()
    expect(page.locator(".chip")).to_have_text("Waiting")
    worker.run()
    expect(page.locator(".chip")).to_have_text("Done, some without a face")
    expect(page.locator(".tile-done")).to_have_count(11)
    expect(page.locator("#errors summary")).to_contain_text("Why 1 has no face")

    # Only what failed is tried again.
    page.get_by_role("button", name="Retry 1 failed").click()
    expect(page.locator(".chip")).to_have_text("Waiting")
    assert worker.run() == 1
    expect(failed).to_have_count(1)

    # Everything is taken home.
    with page.expect_download() as downloading:
        page.locator("#faces-zip").click()
    archive = zipfile.ZipFile(io.BytesIO(Path(downloading.value.path()).read_bytes()))
    assert len([name for name in archive.namelist() if name.endswith(".png")]) == 11
    assert {"compass.png", "talk 0.png", "talk 0-2.png"} <= set(archive.namelist())
    rows = list(csv.DictReader(io.StringIO(archive.read("results.csv").decode())))
    assert {row["key"] for row in rows} >= {"second day/empty.wav", "talk 0.flac", "second day/talk 0.flac"}


def test_a_manifest_gives_the_keys(visitor: Visitor, live_place: Place, tmp_path: Path) -> None:
    for name in ("one.flac", "two.flac", "aside.flac"):
        (tmp_path / name).write_bytes(SOUND + name.encode())
    manifest = tmp_path / "list.csv"
    page = sign_in(visitor, live_place)
    page.get_by_role("link", name="New job").first.click()

    manifest.write_text("key;file\nrow 1;one.flac\n;two.flac\nrow 1;two.flac\n")
    drop(page, *tmp_path.glob("*.flac"), manifest)
    expect(page.locator(".note-bad")).to_contain_text("line 3 has no key")
    expect(page.locator(".note-bad")).to_contain_text("line 4 uses the key 'row 1' again (first on line 2)")
    expect(page.get_by_role("button", name="Draw faces")).to_be_disabled()
    page.get_by_role("button", name="Remove all").click()

    manifest.write_text('key,file\n"row, 1",one.flac\nrow 2,there/two.flac\nrow 3,three.flac\n')
    drop(page, *tmp_path.glob("*.flac"), manifest)
    expect(page.locator("#notes")).to_contain_text("names 3 recordings. 1 other file was left out")
    page.get_by_role("button", name="Draw 3 faces").click()
    expect(page.locator(".tile-failed")).to_contain_text("The manifest names three.flac")
    job_id = page.url.rsplit("/", 1)[1]
    items = live_place.script().get(f"/api/v1/jobs/{job_id}/items").json["data"]
    assert [item["key"] for item in items] == ["row, 1", "row 2", "row 3"]
    assert items[2]["error"]["code"] == "missing_file"


def test_light_and_dark_are_remembered(visitor: Visitor, live_place: Place) -> None:
    page = sign_in(visitor, live_place)
    expect(page.locator("html")).to_have_attribute("data-theme", "light")
    page.get_by_role("button", name="Switch between light and dark").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")


def test_the_way_to_the_button_can_be_gone_by_keyboard(visitor: Visitor, live_place: Place) -> None:
    page = sign_in(visitor, live_place)
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    reached = []
    for _ in range(16):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.textContent.trim()"))
    assert "Choose recordings" in reached
    page.get_by_role("link", name="Choose recordings").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="New job")).to_be_visible()
