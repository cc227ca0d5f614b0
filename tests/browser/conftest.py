"""A dashboard behind gunicorn, a browser in front of it, and a worker that the test steps by hand."""

from __future__ import annotations

import os
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from core.config import Settings, to_environment
from core.stack import ports
from tests.browser.loaded_dashboard import serve
from tests.conftest import REPOSITORY, settings_for
from tests.dashboard.conftest import Place, make_place
from tests.ledgers import make_ledger
from tests.servers import ObjectStore

expect.set_options(timeout=30_000)  # its own five seconds are few on a busy machine

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_SWITCHES = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@dataclass
class Visitor:
    """Somebody with a browser window, of whom everything that should not happen is written down."""

    context: BrowserContext
    address: str
    complaints: list[str] = field(default_factory=list)
    also_asks: tuple[str, ...] = ()  # other places that a page may ask, such as the store

    def open(self, path: str) -> Page:
        page = self.context.new_page()
        page.on("console", lambda message: self._console(message.type, message.text))
        page.on("pageerror", lambda error: self.complaints.append(f"script: {error}"))
        page.on("request", lambda request: self._request(request.url))
        page.on("response", lambda answer: self._answer(answer.status, answer.url))
        page.goto(path if path.startswith("http") else self.address + path)
        return page

    def _console(self, kind: str, text: str) -> None:
        if kind in ("error", "warning"):
            self.complaints.append(f"console {kind}: {text}")

    def _request(self, url: str) -> None:
        if not url.startswith((self.address, *self.also_asks, "blob:", "data:")):
            self.complaints.append(f"asked another place: {url}")

    def _answer(self, status: int, url: str) -> None:
        if status >= 400:
            self.complaints.append(f"{status} from {url}")


@contextmanager
def browsing() -> Iterator[Browser | None]:
    """A headless Chromium; None where there is none on this machine."""
    program = next(filter(None, map(shutil.which, _NAMES)), None)
    if program is None:
        yield None
        return
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=_SWITCHES)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    with browsing() as browser:
        if browser is None:
            pytest.skip(f"no Chromium on this machine (looked for {', '.join(_NAMES)})")
        yield browser


@pytest.fixture
def live_place(sqlite_database_url: str, object_store: ObjectStore) -> Iterator[Place]:
    """A place that is really served, at its `public_url`."""
    with served(settings_for(sqlite_database_url, "redis://127.0.0.1:1", object_store)) as place:
        yield place


@contextmanager
def served(settings: Settings) -> Iterator[Place]:
    """Serves a new place at a free port, which becomes its `public_url`."""
    port = ports.choose(["dashboard"])["dashboard"]
    settings = settings.model_copy(update={"public_url": f"http://127.0.0.1:{port}"})
    make_ledger(settings.database_url)
    place = make_place(settings)
    with serving(settings):
        yield place
    place.database.dispose()


@contextmanager
def serving(settings: Settings) -> Iterator[None]:
    """The dashboard behind gunicorn, at its `public_url`, over a SQLite ledger."""
    environment = {**os.environ, **to_environment(settings), "PYTHONPATH": str(REPOSITORY)}
    server = serve(environment, Path(settings.database_url.removeprefix("sqlite+pysqlite:///")).parent)
    try:
        _wait_for(settings.public_url, server)
        yield
    finally:
        with suppress(psutil.NoSuchProcess):
            server.terminate()
        server.wait(60)


@pytest.fixture
def visitor(chromium: Browser, live_place: Place) -> Iterator[Visitor]:
    context = chromium.new_context(
        viewport={"width": 1280, "height": 900}, color_scheme="light", accept_downloads=True
    )
    context.set_default_timeout(30_000)
    visitor = Visitor(context, live_place.settings.public_url)
    yield visitor
    context.close()
    assert visitor.complaints == []


def _wait_for(address: str, server: psutil.Process) -> None:
    until = time.monotonic() + 90
    while True:
        try:
            with urllib.request.urlopen(f"{address}/healthz", timeout=5):
                return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            assert server.is_running(), "the dashboard ended by itself"
            assert time.monotonic() < until, "the dashboard does not answer"
            time.sleep(0.05)
