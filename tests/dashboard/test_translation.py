"""Pages in another language: what can be translated is found, and a catalogue that is there is used."""

from __future__ import annotations

import re
import struct
from pathlib import Path

import pytest
from flask import Flask, render_template, render_template_string

from core.accounts import Role
from dashboard.translation import Message, messages, register_translation, template
from tests.conftest import REPOSITORY
from tests.dashboard.conftest import Place

TEMPLATES = REPOSITORY / "dashboard" / "templates"
# Folders of which every sentence is a message already.
WHOLE = (
    *("_chosen.html", "account", "audit", "datasets", "evaluations", "jobs", "models", "operating"),
    *("people", "programs", "schedules", "sign_in", "training"),
)


def write_catalogue(folder: Path, language: str, words: dict[str, str]) -> None:
    """A compiled catalogue, as msgfmt makes them."""
    entries = sorted({"": "Content-Type: text/plain; charset=UTF-8\n", **words}.items())
    texts = [[text.encode() for text in column] for column in zip(*entries, strict=True)]
    head, at = 28, 28 + 16 * len(entries)
    tables, body = b"", b""
    for column in texts:
        for text in column:
            tables += struct.pack("<II", len(text), at + len(body))
            body += text + b"\0"
    content = (
        struct.pack("<7I", 0x950412DE, 0, len(entries), head, head + 8 * len(entries), 0, 0) + tables + body
    )
    path = folder / language / "LC_MESSAGES" / "dashboard.mo"
    path.parent.mkdir(parents=True)
    path.write_bytes(content)


@pytest.fixture
def german(tmp_path: Path) -> Flask:
    write_catalogue(
        tmp_path,
        "de",
        {"Sign out": "Abmelden", "How %(label)s fares": "Wie %(label)s abschneidet"},
    )
    app = Flask("elsewhere")
    register_translation(app, tmp_path)
    return app


def test_a_page_is_in_the_language_that_the_browser_asks_for_and_that_is_there(german: Flask) -> None:
    source = (
        "{{ language() }}: {% trans %}Sign out{% endtrans %}, "
        "{% trans label=who %}How {{ label }} fares{% endtrans %}"
    )
    for asked, shown in (
        ("de-AT,de;q=0.9,en;q=0.5", "de: Abmelden, Wie &lt;b&gt; abschneidet"),
        ("en-GB,de;q=0.5", "en: Sign out, How &lt;b&gt; fares"),
        ("fr", "en: Sign out, How &lt;b&gt; fares"),
    ):
        with german.test_request_context(headers={"Accept-Language": asked}):
            assert render_template_string(source, who="<b>") == shown


def test_every_message_is_found_with_the_place_where_it_stands(tmp_path: Path) -> None:
    own = tmp_path / "templates"
    own.mkdir()
    plural = "{% trans count=n %}{{ count }} hour{% pluralize %}{{ count }} hours{% endtrans %}"
    (own / "t.html").write_text(f"<p>\n{plural}</p>")
    found = list(messages())
    texts = {message.text for message in found}
    assert {"Skip to the content", "Sign out", "There is nothing here", "Workers"} <= texts  # of the frame
    assert {
        "Done, some without a face",
        "VE_conv",
        "Finds the face of a voice among 2",
    } <= texts  # of tables of words
    (skip,) = (message for message in found if message.text == "Skip to the content")
    assert re.fullmatch(r"dashboard/templates/base\.html:\d+", skip.place)
    assert Message("%(count)s hour", "%(count)s hours", f"{own}/t.html:2") in list(messages(own))
    assert not any(re.search(r"\s{2}|\n", message.text) for message in found)


def test_a_message_is_listed_once_with_all_its_places() -> None:
    found = [
        Message('Say "A"', None, "a:1"),
        Message("%(n)s day", "%(n)s days", "a:2"),
        Message('Say "A"', None, "b:3"),
    ]
    assert template(iter(found)).split("\n\n", 1)[1].strip() == "\n".join(
        (
            "#: a:1 b:3",
            'msgid "Say \\"A\\""',
            'msgstr ""',
            "",
            "#: a:2",
            'msgid "%(n)s day"',
            'msgid_plural "%(n)s days"',
            'msgstr[0] ""',
            'msgstr[1] ""',
        )
    )


@pytest.mark.parametrize("name", ["base.html", "error.html", *WHOLE])
def test_no_sentence_of_a_translated_template_stands_outside_of_a_message(name: str) -> None:
    path = TEMPLATES / name
    for file in sorted(path.glob("*.html")) if path.is_dir() else [path]:
        source = file.read_text("utf-8")
        for pattern in (
            r"\{%-?\s*trans\b.*?\{%-?\s*endtrans.*?%\}",
            r"\{%.*?%\}|\{#.*?#\}",
            r"\{\{.*?\}\}",
            r"<(code|pre)\b.*?</\1>",
            r"<[!/a-zA-Z][^<>]*>",
            r"&\w+;",
        ):
            source = re.sub(pattern, " ", source, flags=re.DOTALL)
        assert re.findall(r"[a-z]{2,}", source.replace("voicesketch", "")) == [], file


def test_the_frame_says_its_language(sqlite_place: Place) -> None:
    browser = sqlite_place.browser("ada", Role.ADMIN)
    page = browser.get("/jobs", headers={"Accept-Language": "de"}).text
    assert '<html lang="en">' in page  # which is all there is so far
    with sqlite_place.app.test_request_context("/"):
        assert "There is nothing here" in render_template("error.html", status=404, phrase="", detail="")
