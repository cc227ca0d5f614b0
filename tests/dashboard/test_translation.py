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


@pytest.mark.parametrize(
    "file", sorted(TEMPLATES.rglob("*.html")), ids=lambda path: str(path.relative_to(TEMPLATES))
)
def test_no_sentence_of_a_template_stands_outside_of_a_message(file: Path) -> None:
    source = file.read_text("utf-8")
    for pattern in (r"\{#.*?#\}", r"\{%-?\s*trans\b.*?\{%-?\s*endtrans.*?%\}"):
        source = re.sub(pattern, " ", source, flags=re.DOTALL)
    # Words in expressions: what has a space or begins with a capital is written for people.
    for expression in re.findall(r"\{[{%](.*?)[}%]\}", source, re.DOTALL):
        bare = re.sub(r"""(?:\b_\(|== )(['"]).*?\1""", "", expression)
        texts = re.findall(r"""(['"])(.*?)\1""", bare)
        assert [text for _, text in texts if re.search(r"^[A-Z][a-z]|[a-z] [a-z]", text)] == [], file
    source = re.sub(r"\{\{.*?\}\}|\{%.*?%\}", " ", source, flags=re.DOTALL)
    attributes = re.findall(
        r"\b(?:aria-label|placeholder|title|alt|data-label|data-ask)=\"([^\"]*)\"", source
    )
    assert [text for text in attributes if re.search(r"[a-z]{2,}\b(?!://)", text)] == [], file
    for pattern in (r"<(code|pre)\b.*?</\1>", r"<[!/a-zA-Z][^<>]*>", r"&\w+;"):
        source = re.sub(pattern, " ", source, flags=re.DOTALL)
    assert re.findall(r"[A-Z]?[a-z]+", source.replace("voicesketch", "")) == [], file


def test_the_frame_says_its_language(sqlite_place: Place) -> None:
    browser = sqlite_place.browser("ada", Role.ADMIN)
    page = browser.get("/jobs", headers={"Accept-Language": "de"}).text
    assert '<html lang="en">' in page  # which is all there is so far
    with sqlite_place.app.test_request_context("/"):
        assert "There is nothing here" in render_template("error.html", status=404, phrase="", detail="")


def test_pages_and_their_tables_of_words_are_in_the_language_that_is_asked_for(
    sqlite_place: Place, tmp_path: Path
) -> None:
    words = {
        "Rules": "Regeln",
        "Checkpoints of trainings": "Zwischenstände von Trainings",
        "Any": "Jeder",
        "At work": "In Arbeit",
        "<b>%(done)s</b> of %(total)s face\0<b>%(done)s</b> of %(total)s faces": (
            "<b>%(done)s</b> von %(total)s Gesicht\0<b>%(done)s</b> von %(total)s Gesichtern"
        ),
    }
    write_catalogue(tmp_path, "de", words)
    register_translation(sqlite_place.app, tmp_path)
    browser = sqlite_place.browser("ada", Role.ADMIN)
    sqlite_place.script().job(2, name="<choir>")
    asked = {"Accept-Language": "de"}
    retention = browser.get("/retention", headers=asked).text
    assert '<html lang="de">' in retention
    assert ">Regeln<" in retention
    assert ">Zwischenstände von Trainings<" in retention
    jobs = browser.get("/jobs", headers=asked).text
    assert ">Jeder</option>" in jobs
    assert ">In Arbeit</option>" in jobs
    assert "<b>0</b> von 2 Gesichtern" in jobs
    assert 'aria-label="Choose &lt;choir&gt;"' in jobs  # what the catalogue lacks is in English
    assert "<b>0</b> of 2 faces" in browser.get("/jobs").text
