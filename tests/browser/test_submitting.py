"""The way of somebody with many recordings, in a real browser: folders, breaks, archives, manifests, earlier jobs."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from core.incoming.uploads import PART_BYTES
from tests.browser.conftest import Visitor, served
from tests.browser.test_journey import drop, sign_in
from tests.conftest import settings_for
from tests.dashboard.conftest import SOUND, Place
from tests.servers import ObjectStore

pytestmark = pytest.mark.browser

FILES = 200
SENDING = 90_000  # milliseconds; seconds on a machine that does nothing else


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two hundred recordings, one of them so large that it goes in parts."""
    folder = tmp_path / "two hundred voices"
    for number in range(FILES):
        path = folder / f"day {number % 4}" / f"voice {number:03}.flac"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(SOUND + number.to_bytes(2, "big"))
    (folder / "day 0" / "voice 000.flac").write_bytes(b"fLaC" + os.urandom(2 * PART_BYTES + 1000))
    return folder


def open_form(visitor: Visitor, place: Place) -> Page:
    page = sign_in(visitor, place)
    page.get_by_role("link", name="New job").first.click()
    expect(page.get_by_role("heading", name="New job")).to_be_visible()
    return page


class Line:
    """What goes over the line to the service, and a way to cut it."""

    def __init__(self, page: Page) -> None:
        self.sent: list[str] = []
        self.let_through = {"recordings": 80, "uploads": 2}
        page.route("**/api/v1/recordings", self._pass)
        page.route("**/api/v1/uploads/*/parts/*", self._pass)

    def _pass(self, route: Route) -> None:
        kind = route.request.url.rsplit("/api/v1/", 1)[1].split("/")[0]
        self.let_through[kind] -= 1
        if self.let_through[kind] < 0:
            return  # never answered: the page waits until it is left
        self.sent.append(kind)
        route.continue_()

    def mend(self) -> None:
        self.let_through = {"recordings": FILES, "uploads": FILES}
        self.sent.clear()


def test_two_hundred_files_and_a_reload_in_the_middle(
    visitor: Visitor, live_place: Place, folder: Path
) -> None:
    page = open_form(visitor, live_place)
    page.on("dialog", lambda dialog: dialog.accept())
    line = Line(page)
    drop(page, folder)
    expect(page.get_by_role("heading", name="200 recordings")).to_be_visible()
    expect(page.locator("#sent")).to_contain_text("80 sent", timeout=SENDING)
    expect(page.locator(".file").first).to_contain_text("voice 000.flac")
    expect(page.locator(".file-sending").first).to_be_visible()
    assert page.locator(".file").count() < 60, "only the rows in view are on the page"
    page.get_by_label("Name").fill("Two hundred")
    page.get_by_text("Labels, turn").click()
    page.get_by_role("button", name="Add a label").click()
    page.get_by_label("Name of the label").fill("project")
    page.get_by_label("Value of the label").fill("choir")
    page.wait_for_timeout(400)  # what was sent is noted a quarter of a second later

    # The page is left in the middle; what was sent and filled in is still there, and the rest is waited for.
    page.reload()
    expect(page.locator("#notes")).to_contain_text("80 of them need not be sent again")
    expect(page.locator("#sent")).to_contain_text("80 sent")
    expect(page.get_by_label("Name", exact=True)).to_have_value("Two hundred")
    expect(page.get_by_label("Value of the label")).to_have_value("choir")
    expect(page.locator("#lost-hint")).to_contain_text("120 are not here")
    line.mend()
    drop(page, folder)
    expect(page.locator("#sent")).to_contain_text("200 sent", timeout=SENDING)
    expect(page.locator("#lost-hint")).to_be_hidden()
    # Of the large file only the parts that were missing are sent.
    assert line.sent.count("uploads") == 1
    assert line.sent.count("recordings") == 119

    # Nobody is told a time that nobody measured.
    expect(page.locator("#estimate")).to_contain_text("No worker has been at work here yet")
    live_place.worker()
    page.get_by_label("Priority").fill("-3")
    page.get_by_label("Priority").blur()
    expect(page.locator("#estimate")).to_contain_text("not known yet: default@1 has not drawn anything here")
    page.get_by_role("button", name="Draw 200 faces").click()
    expect(page.get_by_role("heading", name="Two hundred")).to_be_visible()
    job = live_place.script().get(f"/api/v1/jobs/{page.url.rsplit('/', 1)[1]}").json
    assert (job["request_counts"]["total"], job["request_counts"]["failed"]) == (200, 0)
    assert (job["labels"], job["priority"]) == ({"project": "choir"}, -3)

    # Its recordings are drawn again, with nothing sent, and the form begins anew.
    live_place.worker().run()
    page.goto(page.url.replace("/jobs/", "/new?from="))
    expect(page.locator("#chosen")).to_be_hidden()
    expect(page.locator("#earlier option:checked")).to_contain_text("Two hundred (200")
    expect(page.locator("#estimate")).to_contain_text("a second")
    page.get_by_label("Those that failed").check()
    expect(page.get_by_role("button", name="Draw faces")).to_be_disabled()
    page.get_by_label("Those with a face").check()
    line.sent.clear()
    page.get_by_role("button", name="Draw 200 faces").click()
    expect(page.get_by_role("heading", name="200 recordings")).to_be_visible()
    assert line.sent == []


def test_archives_manifests_and_the_secret_of_a_note(
    visitor: Visitor, live_place: Place, tmp_path: Path
) -> None:
    with zipfile.ZipFile(tmp_path / "talks.zip", "w") as archive:
        archive.writestr("talks/one.flac", SOUND + b"z1")
        archive.writestr("talks/two.flac", SOUND + b"z2")
        archive.writestr("talks/notes.txt", "aside")
        archive.writestr("../out.flac", SOUND)
    with zipfile.ZipFile(tmp_path / "large.zip", "w") as archive:
        archive.writestr("large.flac", b"fLaC" + os.urandom(PART_BYTES + 10))
    page = open_form(visitor, live_place)
    drop(page, tmp_path / "talks.zip", tmp_path / "large.zip")
    expect(page.locator("#notes")).to_contain_text("talks.zip held 3 recordings, 1 of which cannot be used.")
    expect(page.locator("#notes")).to_contain_text("1 other file in it was left out")
    expect(page.locator("#notes")).to_contain_text("large.zip held 1 recording.")
    expect(page.get_by_role("heading", name="4 recordings")).to_be_visible()
    expect(page.locator(".file-failed")).to_contain_text("leads out of the archive")
    page.get_by_role("button", name="Remove ../out.flac").click()

    # A manifest may come before its recordings; those that it names are waited for, by line.
    (tmp_path / "list.csv").write_text("key,file\nspeaker 7,a.flac\nspeaker 8,b.flac\nspeaker 9,never.flac\n")
    for name in ("a.flac", "b.flac"):
        (tmp_path / name).write_bytes(SOUND + name.encode())
    drop(page, tmp_path / "list.csv")
    expect(page.locator(".note-bad")).to_contain_text("line 4 names never.flac")
    expect(page.locator(".file-lost")).to_have_count(3)
    drop(page, tmp_path / "a.flac", tmp_path / "b.flac")
    expect(page.locator(".file-lost")).to_have_count(1)
    expect(page.locator("#sent")).to_contain_text("5 sent")
    page.get_by_role("button", name="Leave them out").click()

    page.get_by_text("Labels, turn").click()
    page.get_by_label("Tell this address").fill("https://93.184.215.14/told")
    page.get_by_role("button", name="Draw 5 faces").click()
    secret = page.locator("#secret-text")
    expect(secret).not_to_be_empty()
    told = secret.inner_text()
    page.get_by_role("link", name="Go to the job").click()
    expect(page.get_by_role("heading", name="5 recordings")).to_be_visible()
    script = live_place.script()
    job_id = page.url.rsplit("/", 1)[1]
    items = script.get(f"/api/v1/jobs/{job_id}/items").json["data"]
    assert [item["key"] for item in items] == [
        "talks/one.flac",
        "talks/two.flac",
        "large.flac",
        "speaker 7",
        "speaker 8",
    ]
    assert told.startswith("whsec_") or len(told) > 20
    assert list(live_place.store.keys("uploads/")) == []


@pytest.fixture
def open_store(sqlite_database_url: str, object_store: ObjectStore) -> Iterator[Place]:
    """A place whose store browsers reach, with a bucket that jobs may read from."""
    plain = settings_for(sqlite_database_url, "redis://127.0.0.1:1", object_store.of_new_bucket())
    extra = {
        "s3_public_url": object_store.endpoint_url,
        "s3_sources": f"s3://{plain.s3_bucket}-archive/voices/",
    }
    with served(plain.model_copy(update=extra)) as place:
        yield place


def test_large_files_go_straight_into_the_store_and_what_lies_there_need_not_be_sent(
    chromium: Browser, open_store: Place, tmp_path: Path
) -> None:
    store, settings = open_store.store, open_store.settings
    archive = store.of_bucket(f"{settings.s3_bucket}-archive")
    archive.ensure_bucket()
    for number in range(5):
        archive.put(f"voices/choir/{number}.flac", SOUND + bytes([number]), "audio/flac")
    archive.put("voices/choir/notes.txt", b"aside", "text/plain")
    # As docs/configuration.md tells those who set VOICESKETCH_S3_PUBLIC_URL.
    rule = {"AllowedOrigins": [settings.public_url], "AllowedMethods": ["PUT"], "AllowedHeaders": ["*"]}
    store._client.put_bucket_cors(Bucket=store.bucket, CORSConfiguration={"CORSRules": [rule]})
    (tmp_path / "long.flac").write_bytes(b"fLaC" + os.urandom(2 * PART_BYTES))

    context = chromium.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(30_000)
    reachable = str(settings.s3_public_url)
    visitor = Visitor(context, settings.public_url, also_asks=(reachable,))
    page = open_form(visitor, open_store)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(f"{request.method} {request.url}"))
    drop(page, tmp_path / "long.flac")
    expect(page.locator("#sent")).to_contain_text("1 sent", timeout=SENDING)
    direct = [line for line in asked if line.startswith(f"PUT {reachable}")]
    assert len(direct) == 3
    assert not [line for line in asked if line.startswith(f"PUT {settings.public_url}")]
    page.get_by_role("button", name="Remove all").click()

    # A place that is not open is told; one that is open is counted, taken in and drawn.
    page.get_by_label("From S3").check()
    page.locator("#s3-url").fill(f"{page.locator('#from-s3 code').inner_text()}choir/")
    page.get_by_role("button", name="Look what is there").click()
    expect(page.locator("#s3-found")).to_contain_text("5 recordings, 10 kB. 1 other file is left out.")
    page.get_by_role("button", name="Draw 5 faces").click()
    expect(page.get_by_role("heading", name="5 recordings")).to_be_visible()
    job = open_store.script().get(f"/api/v1/jobs/{page.url.rsplit('/', 1)[1]}/items").json["data"]
    assert [item["key"] for item in job] == [f"{number}.flac" for number in range(5)]
    assert visitor.complaints == []
    context.close()
