"""Every page in a language that nobody speaks: whatever is still in plain letters was not ready for translation."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, FilePayload, Page, expect
from sqlalchemy import select
from werkzeug.serving import make_server

from core.ledger.tables import Base
from core.people.accounts import Role
from core.stack import ports
from dashboard.message_sources import messages
from dashboard.translation import register_translation
from tests.browser.conftest import Visitor
from tests.browser.everything import REFUSED, furnish
from tests.browser.test_every_page import go
from tests.catalogues import accented, accented_catalogue, write_catalogue
from tests.conftest import settings_for
from tests.dashboard.conftest import Place, make_place
from tests.ledgers import make_ledger
from tests.servers import ObjectStore

pytestmark = pytest.mark.browser

# What is read on a page or read out: texts, and attributes that stand for them. Code and times are no words, and a
# part with a language of its own (a log, the card of a model) is said to be in it.
_TEXTS = """() => {
  const found = [document.title];
  const aside = "code, pre, time, script, noscript, svg, textarea, #main [lang]";
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) if (!walk.currentNode.parentElement.closest(aside)) found.push(walk.currentNode.textContent);
  for (const name of ["aria-label", "title", "placeholder", "alt", "data-ask", "aria-valuetext"]) {
    for (const one of document.querySelectorAll(`[${name}]`)) {
      if (!one.closest(aside)) found.push(one.getAttribute(name));
    }
  }
  return found;
}"""
# Every word of English has one of these, which no word of the other language has.
_PLAIN = re.compile(r"\b(?=[A-Za-z]*[aeiouyAEIOUY])[A-Za-z]{3,}\b")
# Names of things, and sentences that `furnish` made up.
_NAMES = set(
    re.findall(
        r"\w+",
        "voicesketch NVIDIA JSON ZIP SHA SQLite ConnectionError celery redis sqlalchemy boto3 flask gunicorn "
        "Europe Berlin Identity kind float int adam adamw rmsprop cosine female male gender "
        "alone broken notes txt wav "
        # What the browser itself writes in German: months, days and units.
        "Sek Nov Dez Jan Feb Apr Mai Jun Jul Aug Sep Okt Don Uhr Minute Minuten Sekunde Sekunden jetzt vor nur am Um",
    )
)
_MADE_UP = (
    "There are too few pictures for it.",
    "So few pictures say little.",
    "Some of the people",
    "Beside what was drawn.",
    "How ages are read",
    "Rows are the true faces, columns the drawn ones.",
    "The loss became infinite at step 7.",
    "Somebody, 2018",
    "The file is empty: it holds no sound at all.",
    "voices@1 is no worse than default@1: it takes over.",
    "other people, other pictures",
    "under 30",
    "over 50",
)
# Columns in which sentences are kept; all other text of the ledger is data.
_SENTENCES = ("message", "reason", "error", "sentence", "doing")


@pytest.fixture
def accented_place(sqlite_database_url: str, object_store: ObjectStore, tmp_path: Path) -> Iterator[Place]:
    """A place that is served from this process, with a catalogue that says it is German."""
    port = ports.choose(["dashboard"])["dashboard"]
    settings = settings_for(sqlite_database_url, "redis://127.0.0.1:1", object_store)
    settings = settings.model_copy(update={"public_url": f"http://127.0.0.1:{port}"})
    make_ledger(settings.database_url)
    place = make_place(settings)
    write_catalogue(tmp_path / "words", "de", accented_catalogue(messages()), "nplurals=2; plural=n != 1;")
    register_translation(place.app, tmp_path / "words")
    server = make_server("127.0.0.1", port, place.app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield place
    server.shutdown()
    thread.join(60)
    server.server_close()
    place.database.dispose()


def names_in(place: Place) -> set[str]:
    """Every word that is data: names of people, jobs, files and whatever else the ledger holds."""
    words = set(_NAMES)
    with place.database.read() as session:
        for table in Base.metadata.sorted_tables:
            columns = [
                column for column in table.columns if not any(part in column.name for part in _SENTENCES)
            ]
            for row in session.execute(select(*columns)) if columns else ():
                words.update(re.findall(r"[A-Za-z]{3,}", " ".join(map(str, row))))
    return words


def unready(texts: list[str], names: set[str]) -> list[str]:
    """The texts that have a word which is neither data nor translated."""
    found = []
    for text in texts:
        rest = text
        for made_up in _MADE_UP:
            rest = rest.replace(made_up, "")
        if set(_PLAIN.findall(rest)) - names:
            found.append(" ".join(text.split()))
    return found


@pytest.mark.timeout(600)
def test_every_page_and_what_its_scripts_write_is_in_the_language_that_is_asked_for(
    chromium: Browser, accented_place: Place, tmp_path: Path
) -> None:
    place = accented_place
    paths = furnish(place, tmp_path)
    names = names_in(place)
    context = chromium.new_context(viewport={"width": 1280, "height": 900}, locale="de-AT")
    context.set_default_timeout(30_000)
    visitor = Visitor(context, place.settings.public_url)
    page = visitor.open(place.link("ada", Role.ADMIN))
    page.get_by_role("main").get_by_role("button", name=accented("Sign in")).click()
    page.wait_for_url("**/jobs")
    left = {}
    for name, path in paths.items():
        go(page, visitor, path, REFUSED.get(name, 200))
        if name == "face":
            expect(page.get_by_role("dialog")).to_be_visible()
        if wrong := unready(page.evaluate(_TEXTS), names):
            left[name] = wrong
    assert left == {}
    _scripts_speak(page, visitor)
    assert [one for one in visitor.complaints if "404" not in one] == []
    context.close()


def _scripts_speak(page: Page, visitor: Visitor) -> None:
    """Counts and notes that appear only when something is done."""
    said = accented
    go(page, visitor, "/new")
    sound = b"RIFF" + bytes(2500)
    page.locator("#pick-files").set_input_files(
        [FilePayload(name=f"{n}.wav", mimeType="audio/wav", buffer=sound) for n in range(3)]
    )
    expect(page.locator("#chosen-heading")).to_have_text(said("3 recordings"))
    expect(page.locator("#sent")).to_have_text("⟦3 šéñt · ⟦8 ķB⟧⟧")
    expect(page.locator("#submit")).to_have_text(said("Draw 3 faces"))
    expect(page.locator("#estimate")).to_contain_text("⟦")
    page.locator("#pick-files").set_input_files(
        [FilePayload(name="m.csv", mimeType="text/csv", buffer=b"key,path\n,\n")]
    )
    expect(page.locator("#notes")).to_contain_text("⟦Thé måñîféšt m.csv çåññöt bé üšéd:⟧")
